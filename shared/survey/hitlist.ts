/** Single targets as users give them: hitlists of addresses, lists of pairs, and the target of a lookup. */
import { Fault } from '../base/faults.js';
import { parseIpv4 } from '../net/address.js';
import { Target } from '../net/endpoint.js';
import { parseIpv6 } from '../net/ipv6.js';
import { type ProbePort, portIn, probeIn, probePort } from '../net/ports.js';
import { readTolerantly } from './list-lines.js';

/**
 * `ADDR:PORT` of IPv4, `[ADDR]:PORT`, or `ADDR,PORT`; an IPv6 address with a port but without brackets would
 * be ambiguous.
 */
const PAIR = /^(?:\[([^\]]+)\]\s*[:,]|([^,:[\]]+?)\s*[:,]|([^,[\]]+?)\s*,)\s*(\d{1,5})$/;
/** The most ports a survey may have for a lookup without a port. */
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

/**
 * Reads pairs: `192.0.2.1:80`, `[2001:db8::1]:443` or `ADDRESS,PORT` per line. Bad lines are reported, not
 * fatal.
 */
export function parsePairs(text: string): Listed {
  const { items, badLines } = readTolerantly(text, parsePair);
  return { targets: items, badLines };
}

/**
 * Reads `ADDR` or `ADDR:PORT` (`[ADDR]:PORT` for IPv6); without a port, all `ports` are meant.
 * @throws Fault BAD_OPTION
 */
export function parseLookup(text: string, ports: readonly ProbePort[]): readonly Target[] {
  const match = /^(?:\[([^\]]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? text;
  const named = Number(match?.[3]);
  const ofPort = ports.filter((port) => portIn(port) === named);
  const ofPairs = ofPort.length > 0 ? ofPort : [probePort(0, named)];
  const wanted = match === null ? ports : ofPairs;
  if (wanted.length > LOOKUP_PORTS_MAX) {
    const reason = `the survey has ${wanted.length} ports; name one, as ADDR:PORT`;
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return wanted.map((port) =>
    Object.assign(parseAddress(address), { port: portIn(port), probe: probeIn(port) }),
  );
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
  const port = Number(match?.[4]);
  if (match === null || port < 1 || port > 65535) {
    throw new Fault('BAD_OPTION', 'not an address and a port', { value });
  }
  const target = parseAddress(match[1] ?? match[2] ?? match[3] ?? '');
  target.port = port;
  return target;
}
