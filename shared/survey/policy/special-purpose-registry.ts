/**
 * The blocks of the IANA special-purpose address registries (RFC 6890 §2.2) that are not marked globally
 * reachable, plus multicast (RFC 5771, RFC 4291 §2.7). These addresses are never probed unless a survey allows
 * them explicitly. The rest of IPv4 is 3,702,258,432 addresses.
 */
import { type Prefix6, parsePrefix6 } from '../../net/ipv6.js';
import { parsePrefix } from '../../net/prefix.js';
import { type Range, Ranges } from '../../net/ranges.js';
import { Ranges6 } from '../../net/ranges6.js';

interface RegistryEntry {
  /** The prefix, as the registry writes it. */
  readonly text: string;
  readonly name: string;
  readonly rfc: string;
}

export type SpecialBlock = RegistryEntry &
  (
    | { readonly family: 4; readonly range: Range }
    | { readonly family: 6; readonly prefix: Prefix6 }
  );

const IPV4: readonly RegistryEntry[] = [
  { text: '0.0.0.0/8', name: 'This network', rfc: 'RFC 791 §3.2' },
  { text: '10.0.0.0/8', name: 'Private use', rfc: 'RFC 1918' },
  { text: '100.64.0.0/10', name: 'Shared address space', rfc: 'RFC 6598' },
  { text: '127.0.0.0/8', name: 'Loopback', rfc: 'RFC 1122 §3.2.1.3' },
  { text: '169.254.0.0/16', name: 'Link local', rfc: 'RFC 3927' },
  { text: '172.16.0.0/12', name: 'Private use', rfc: 'RFC 1918' },
  { text: '192.0.0.0/24', name: 'IETF protocol assignments', rfc: 'RFC 6890 §2.1' },
  { text: '192.0.2.0/24', name: 'Documentation (TEST-NET-1)', rfc: 'RFC 5737' },
  { text: '192.88.99.0/24', name: 'Deprecated 6to4 relay anycast', rfc: 'RFC 7526' },
  { text: '192.168.0.0/16', name: 'Private use', rfc: 'RFC 1918' },
  { text: '198.18.0.0/15', name: 'Benchmarking', rfc: 'RFC 2544' },
  { text: '198.51.100.0/24', name: 'Documentation (TEST-NET-2)', rfc: 'RFC 5737' },
  { text: '203.0.113.0/24', name: 'Documentation (TEST-NET-3)', rfc: 'RFC 5737' },
  { text: '224.0.0.0/4', name: 'Multicast', rfc: 'RFC 5771' },
  { text: '240.0.0.0/4', name: 'Reserved and limited broadcast', rfc: 'RFC 1112 §4, RFC 919' },
];

const IPV6: readonly RegistryEntry[] = [
  { text: '::/128', name: 'Unspecified address', rfc: 'RFC 4291 §2.5.2' },
  { text: '::1/128', name: 'Loopback', rfc: 'RFC 4291 §2.5.3' },
  { text: '::ffff:0:0/96', name: 'IPv4-mapped', rfc: 'RFC 4291 §2.5.5.2' },
  { text: '64:ff9b:1::/48', name: 'Local-use IPv4/IPv6 translation', rfc: 'RFC 8215' },
  { text: '100::/64', name: 'Discard-only', rfc: 'RFC 6666' },
  { text: '100:0:0:1::/64', name: 'Dummy prefix', rfc: 'RFC 9780' },
  { text: '2001::/23', name: 'IETF protocol assignments', rfc: 'RFC 2928' },
  { text: '2001:db8::/32', name: 'Documentation', rfc: 'RFC 3849' },
  { text: '2002::/16', name: '6to4', rfc: 'RFC 3056' },
  { text: '3fff::/20', name: 'Documentation', rfc: 'RFC 9637' },
  { text: '5f00::/16', name: 'Segment routing (SRv6) SIDs', rfc: 'RFC 9602' },
  { text: 'fc00::/7', name: 'Unique local', rfc: 'RFC 4193' },
  { text: 'fe80::/10', name: 'Link-local unicast', rfc: 'RFC 4291 §2.5.6' },
  { text: 'ff00::/8', name: 'Multicast', rfc: 'RFC 4291 §2.7' },
];

const BLOCKS_4 = IPV4.map((entry) => ({
  ...entry,
  family: 4 as const,
  range: parsePrefix(entry.text),
}));
const BLOCKS_6 = IPV6.map((entry) => ({
  ...entry,
  family: 6 as const,
  prefix: parsePrefix6(entry.text),
}));

/** Every block of both families. */
export const SPECIAL_BLOCKS: readonly SpecialBlock[] = [...BLOCKS_4, ...BLOCKS_6];

/** All special-purpose IPv4 addresses. */
export const SPECIAL: Ranges = Ranges.of(BLOCKS_4.map(({ range }) => range));

/** All special-purpose IPv6 addresses. */
export const SPECIAL_6: Ranges6 = Ranges6.of(BLOCKS_6.map(({ prefix }) => prefix));
