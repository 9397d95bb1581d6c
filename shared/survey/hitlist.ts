/** Single targets as users give them: hitlists of addresses, lists of pairs, and the target of a lookup. */
import { Fault } from '../base/faults.js';
import { parseIpv4 } from '../net/address.js';
import { Target } from '../net/endpoint.js';
import { compareWords, parseIpv6 } from '../net/ipv6.js';
import { type ProbePort, portIn, probeIn, probePort } from '../net/ports.js';
import { readTolerantly } from './list-lines.js';
import type { SpaceParts } from './space/space.js';

/**
 * `ADDR:PORT` of IPv4, `[ADDR]:PORT`, or `ADDR,PORT`; an IPv6 address with a port but without brackets would
 * be ambiguous.
 */
const PAIR = /^(?:\[([^\]]+)\]\s*[:,]|([^,:[\]]+?)\s*[:,]|([^,[\]]+?)\s*,)\s*(\d{1,5})$/;
/** The highest number of ports that a lookup may mean; with more, it must name one. */
const LOOKUP_PORTS_MAX = 100;

export interface Listed {
  readonly targets: readonly Target[];
  /** Numbers of the lines that could not be read. */
  readonly badLines: readonly number[];
}

/** Reads a hitlist: one address of either family per line. Bad lines are reported, not fatal. */
export function parseHitlist(text: string): Listed {
  const { items, badLines } = readTolerantly(text, parseAddress);
  return { targets: items, badLines };
}

/** Reads pairs: `192.0.2.1:80`, `[2001:db8::1]:443` or `ADDRESS,PORT` per line. Bad lines are reported, not fatal. */
export function parsePairs(text: string): Listed {
  const { items, badLines } = readTolerantly(text, parsePair);
  return { targets: items, badLines };
}

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

/** @throws Fault BAD_OPTION naming `value` */
function parsePort(text: string, value: string): number {
  const port = Number(text);
  if (port >= 1 && port <= 65535) return port;
  throw new Fault('BAD_OPTION', 'not an address and a port', { value });
}

/** A target of one address of either family, without a port. @throws Fault BAD_OPTION */
export function parseAddress(text: string): Target {
  const target = new Target();
  if (text.includes(':')) target.setWords(parseIpv6(text));
  else target.setIpv4(parseIpv4(text));
  return target;
}

function parsePair(value: string): Target {
  const match = PAIR.exec(value);
  const port = parsePort(match?.[4] ?? '', value);
  const target = parseAddress(match?.[1] ?? match?.[2] ?? match?.[3] ?? '');
  target.port = port;
  return target;
}
