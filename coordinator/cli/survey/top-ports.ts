/**
 * `top:N` in a list of ports stands for the N most common ports of a transport, according to a ranking on
 * this machine. We ship no ranking: which ports are common is a measurement with a source and a date. `top:N`
 * uses nmap's ranking, if Debian's nmap is installed; `top:N@FILE` uses a file, such as the result of a
 * survey, whose lines each have a port and a number: the higher the number, the more common the port.
 */
import { readFileSync } from 'node:fs';
import { describeError, Fault } from '../../../shared/base/faults.js';

const NMAP_SERVICES = '/usr/share/nmap/nmap-services';
const TOP = /^top:(\d+)(?:@(.+))?$/;
/** `http 80/tcp 0.484143 # …` or `80 0.48`. */
const LINE = /^(?:\S+\s+)?(\d{1,5})(?:\/(\w+))?[\s,]+([\d.]+)/;

/** A list of ports in which `top:N` and `top:N@FILE` are replaced by the ports. @throws Fault */
export function replaceTop(items: readonly string[], protocol: string): string {
  const replaced = items.map((item) => {
    const match = TOP.exec(item.trim());
    if (match === null) return item;
    return topPorts(Number(match[1]), { file: match[2] ?? NMAP_SERVICES, protocol }, item);
  });
  return replaced.join(',');
}

interface Ranking {
  readonly file: string;
  /** `tcp`, `udp` or `sctp`: lines of the file that name another protocol are skipped. */
  readonly protocol: string;
}

function topPorts(count: number, ranking: Ranking, value: string): string {
  const { file } = ranking;
  const ranked = readRanked(ranking, value).sort((a, b) => b.weight - a.weight || a.port - b.port);
  if (count < 1 || count > ranked.length) {
    const reason = `the list has ${ranked.length} ports`;
    throw new Fault('BAD_OPTION', reason, { file, value });
  }
  return ranked
    .slice(0, count)
    .map(({ port }) => port)
    .join(',');
}

function readRanked(
  { file, protocol }: Ranking,
  value: string,
): { port: number; weight: number }[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason =
      `cannot read the list of ports for top:N (${describeError(cause)}): ` +
      'install nmap, or give a list of your own as top:N@FILE';
    throw new Fault('UNREADABLE_FILE', reason, { file, value }, cause);
  }
  const ranked: { port: number; weight: number }[] = [];
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line.trim());
    const port = Number(match?.[1]);
    const isOther = match?.[2] !== undefined && match[2] !== protocol;
    if (match !== null && port >= 1 && !isOther) ranked.push({ port, weight: Number(match[3]) });
  }
  return ranked;
}
