/** Reads IPv6 windows and prefixes as people write them. */
import { Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import { hasPrefix, parsePrefix6 } from '../../net/ipv6.js';
import { parseInterfaceIds } from './interface-ids.js';
import { Window } from './window.js';

const DEFAULT_IDS = '::1';
const WINDOW = /^([0-9a-f:.]+)\/(\d{1,3})(?:-(\d{1,3}))?(?:@(.+))?$/i;
const ID_BITS = 64;
const MAPPED = parsePrefix6('::ffff:0:0/96');

/**
 * Reads `PREFIX/FROM-TO@IDS`, `PREFIX/FROM-TO` (identifiers ::1) or `PREFIX/LENGTH` (all of it).
 * @throws Fault BAD_OPTION, or SPACE_TOO_LARGE that says how to narrow
 */
export function parseWindow(text: string, seed: string): Window {
  const match = WINDOW.exec(text.trim());
  if (match === null) {
    const reason = 'not IPv6 targets: an address, PREFIX/LENGTH, or PREFIX/FROM-TO@IDS';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  const prefix = parsePrefix6(`${match[1]}/${match[2]}`);
  if (prefix.length >= MAPPED.length && hasPrefix(prefix.words, MAPPED)) {
    const reason = 'IPv4-mapped addresses are IPv4: write them as IPv4';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  const isPlain = match[3] === undefined;
  if (isPlain && match[4] !== undefined) {
    throw new Fault(
      'BAD_OPTION',
      '`@identifiers` are allowed after a window only, such as /32-64@::1',
      {
        value: text,
      },
    );
  }
  const end = isPlain ? 128 : Number(match[3]);
  if (end < prefix.length || end > 128 || (!isPlain && end === 128)) {
    const reason = 'a window goes from a lower to a higher bit, and the higher one is at most 127';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  const ids = isPlain ? undefined : parseInterfaceIds(match[4] ?? DEFAULT_IDS, seed);
  if (ids !== undefined && ids.bits > Math.min(ID_BITS, 128 - end)) {
    const reason = `these identifiers need ${ids.bits} bits; after bit ${end} there are ${128 - end}`;
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  const slots = 2 ** (end - prefix.length) * (ids?.count ?? 1);
  if (slots > LIMITS.spaceSizeMax) {
    const instead = `${match[1]}/${prefix.length}-64@::1`;
    const reason = isPlain
      ? `2^${128 - prefix.length} addresses are more than 2^53: name a window, such as ${instead}`
      : 'more than 2^53 addresses: narrow the window or the identifiers';
    throw new Fault('SPACE_TOO_LARGE', reason, { value: text });
  }
  return new Window(prefix, end, ids);
}
