/** The target of a lookup, as people write it. */
import { Fault } from '../base/faults.js';
import { Target } from '../net/endpoint.js';
import { compareWords } from '../net/ipv6.js';
import { type ProbePort, portIn, probeIn, probePort } from '../net/ports.js';
import { parseAddress } from './lists/hitlist.js';
import { parsePort } from './lists/pair-list.js';
import type { SpaceParts } from './space/space.js';

/** The highest number of ports that a lookup may mean; with more, it must name one. */
const LOOKUP_PORTS_MAX = 100;

/**
 * Reads `ADDR` or `ADDR:PORT` (`[ADDR]:PORT` for IPv6). Returns one target at this address for each port of
 * the survey that has the given number, whatever its probe; without a number, one for each port of the
 * survey. If the survey has no such port, returns one target of the first probe.
 * @throws Fault BAD_OPTION
 */
export function parseLookup(
  text: string,
  { ports, pairs }: Pick<SpaceParts, 'ports' | 'pairs'>,
): readonly Target[] {
  const match = /^(?:\[([^\]]+)\]|([0-9.]+)):(\d+)$/.exec(text);
  const address = parseAddress(match?.[1] ?? match?.[2] ?? text);
  const named = match === null ? undefined : parsePort(match[3] ?? '', text);
  const isMeant = (port: ProbePort) => named === undefined || portIn(port) === named;
  const wanted = new Set(ports.filter(isMeant));
  for (const pair of pairs) {
    const port = probePort(pair.probe, pair.port);
    if (isMeant(port) && compareWords(pair.words, address.words) === 0) wanted.add(port);
  }
  if (wanted.size > LOOKUP_PORTS_MAX) {
    const reason = `the survey has ${wanted.size} ports; name one, as ADDR:PORT`;
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  const codes = wanted.size > 0 ? [...wanted] : [probePort(0, named ?? 0)];
  return codes.map((code) => {
    const target = new Target();
    target.setWords(address.words);
    return Object.assign(target, { port: portIn(code), probe: probeIn(code) });
  });
}
