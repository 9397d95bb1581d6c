/**
 * Capture filters (BPF, in the syntax of pcap-filter(7), for packets from their IP header on). They pass the
 * replies to the probes of one agent, and little else.
 */
import { cidrsOfAll } from '../net/cidr.js';
import { formatIpv6, isMapped } from '../net/ipv6.js';
import { ICMP_ERRORS } from '../packet/icmp.js';
import { EXTENSION_HEADERS } from '../packet/ipv6.js';
import { FLAG_RST } from '../packet/tcp.js';
import type { Family, Origin } from './probe.js';

/** The highest number of prefixes of our own addresses in a filter; the kernel does not accept many more. */
const NETS_MAX = 128;

/** A condition on the transport header; `octet(n)` is the filter expression that reads its octet n. */
export type Condition = (octet: (at: number) => string) => string;

/**
 * A filter that passes ICMP errors to us, and those packets of a transport to our addresses and ports whose
 * transport header meets the condition.
 */
export function replyFilter(origin: Origin, protocol: number, condition?: Condition): string {
  const { ports } = origin;
  const range = `dst portrange ${ports.from}-${ports.to - 1}`;
  // `ip[…]` counts from the IP header, whose length varies; `tcp[…]` and the like count from the transport's.
  const v4 = condition?.((at) => `${IPV4_ACCESSORS[protocol]}[${at}]`);
  const v6 = condition?.((at) => `ip6[${40 + at}]`);
  const of = (test: string, more: string | undefined) =>
    `(${[test, range, ...(more === undefined ? [] : [more])].join(' and ')})`;
  const filters = [
    filterFor(netsOf(origin, 4), [of(`ip proto ${protocol}`, v4), ICMP_ERROR_FILTER]),
    filterFor(netsOf(origin, 6), [
      ...[of(`ip6[6] = ${protocol}`, v6), ICMPV6_ERROR_FILTER, EXTENDED_FILTER],
    ]),
  ];
  return filters.filter((filter) => filter !== '').join(' or ');
}

/** ICMP messages of one type to our addresses, and ICMP errors to us. */
export function icmpFilter(origin: Origin, types: { v4?: number; v6?: number }): string {
  const v4 = types.v4 === undefined ? [] : [`(icmp and icmp[0] = ${types.v4})`];
  const v6 = types.v6 === undefined ? [] : [`(ip6[6] = 58 and ip6[40] = ${types.v6})`];
  const filters = [
    filterFor(netsOf(origin, 4), [...v4, ICMP_ERROR_FILTER]),
    filterFor(netsOf(origin, 6), [...v6, ICMPV6_ERROR_FILTER, EXTENDED_FILTER]),
  ];
  return filters.filter((filter) => filter !== '').join(' or ');
}

/** Passes resets and, if `also` is given, segments whose SYN and ACK flags meet this condition, such as `= 18`. */
export function tcpFlagFilter(also?: string): Condition {
  return (octet) => {
    const flags = octet(13);
    const reset = `${flags} & ${FLAG_RST} != 0`;
    return also === undefined ? reset : `(${reset} or ${flags} & 0x12 ${also})`;
  };
}

const IPV4_ACCESSORS: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const ICMP_ERROR_FILTER = `(icmp and (${ICMP_ERRORS.map((type) => `icmp[0] = ${type}`).join(' or ')}))`;
const ICMPV6_ERROR_FILTER = '(ip6[6] = 58 and ip6[40] < 5)';
/** Passes all packets with extension headers, because BPF, which has no loops, cannot find their transport header. */
const EXTENDED_FILTER = `(${EXTENSION_HEADERS.map((next) => `ip6[6] = ${next}`).join(' or ')})`;

/** Our addresses of a family, as prefixes. */
function netsOf({ sources, window }: Origin, family: Family): readonly string[] {
  const ours = sources.filter((words) => isMapped(words) === (family === 4));
  if (family === 4 || window === undefined) return [...cidrsOfAll(ours)];
  return [`${formatIpv6(window.words)}/${window.length}`];
}

function filterFor(prefixes: readonly string[], alternatives: readonly string[]): string {
  if (prefixes.length === 0) return '';
  const nets = prefixes.map((net) => `dst net ${net}`);
  // If there are too many addresses, the filter leaves them out. It then passes more packets, but the
  // cookies still identify our replies.
  const ours = nets.length > NETS_MAX ? '' : `(${nets.join(' or ')}) and `;
  return `(${ours}(${alternatives.join(' or ')}))`;
}
