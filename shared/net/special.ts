/**
 * The IANA IPv4 Special-Purpose Address Registry (RFC 6890 §2.2.2), without the blocks it marks as
 * globally reachable (192.31.196.0/24, 192.52.193.0/24, 192.175.48.0/24), and multicast
 * (RFC 5771). They are never probed unless a survey allows them by name. What remains of IPv4 is
 * 3,702,258,432 addresses.
 */
import { parsePrefix } from './prefix.js';
import { type Range, Ranges } from './ranges.js';

export interface SpecialBlock {
  readonly prefix: string;
  readonly name: string;
  readonly rfc: string;
}

const SPECIAL_BLOCKS: readonly SpecialBlock[] = [
  { prefix: '0.0.0.0/8', name: 'This network', rfc: 'RFC 791 §3.2' },
  { prefix: '10.0.0.0/8', name: 'Private use', rfc: 'RFC 1918' },
  { prefix: '100.64.0.0/10', name: 'Shared address space', rfc: 'RFC 6598' },
  { prefix: '127.0.0.0/8', name: 'Loopback', rfc: 'RFC 1122 §3.2.1.3' },
  { prefix: '169.254.0.0/16', name: 'Link local', rfc: 'RFC 3927' },
  { prefix: '172.16.0.0/12', name: 'Private use', rfc: 'RFC 1918' },
  { prefix: '192.0.0.0/24', name: 'IETF protocol assignments', rfc: 'RFC 6890 §2.1' },
  { prefix: '192.0.2.0/24', name: 'Documentation (TEST-NET-1)', rfc: 'RFC 5737' },
  { prefix: '192.88.99.0/24', name: 'Deprecated 6to4 relay anycast', rfc: 'RFC 7526' },
  { prefix: '192.168.0.0/16', name: 'Private use', rfc: 'RFC 1918' },
  { prefix: '198.18.0.0/15', name: 'Benchmarking', rfc: 'RFC 2544' },
  { prefix: '198.51.100.0/24', name: 'Documentation (TEST-NET-2)', rfc: 'RFC 5737' },
  { prefix: '203.0.113.0/24', name: 'Documentation (TEST-NET-3)', rfc: 'RFC 5737' },
  { prefix: '224.0.0.0/4', name: 'Multicast', rfc: 'RFC 5771' },
  { prefix: '240.0.0.0/4', name: 'Reserved and limited broadcast', rfc: 'RFC 1112 §4, RFC 919' },
];

const PARSED = SPECIAL_BLOCKS.map((block) => ({ block, range: parsePrefix(block.prefix) }));

/** All special-purpose addresses. */
export const SPECIAL: Ranges = Ranges.of(PARSED.map(({ range }) => range));

/** The block that holds the first address of a range. */
export function specialBlockOf(range: Range): SpecialBlock | undefined {
  return PARSED.find(({ range: special }) => special.from <= range.from && range.from < special.to)
    ?.block;
}
