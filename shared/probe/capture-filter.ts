/**
 * Capture filters (BPF, in the syntax of pcap-filter(7), for packets from their IP header on): pass the
 * replies to the probes of one agent, and little else.
 */
import { cidrsOfAll } from '../net/cidr.js';
import type { Words } from '../net/endpoint.js';
import { isMapped } from '../net/ipv6.js';
import { FLAG_RST } from '../packet/tcp.js';
import type { Origin } from './probe.js';

/** Prefixes of our own addresses in a filter: the kernel would not accept many more. */
const NETS_MAX = 128;

/** Resets, SYN-ACKs and ICMP errors to our addresses and ports. */
export function tcpReplyFilter({ sources, ports }: Origin): string {
  const range = `dst portrange ${ports.from}-${ports.to - 1}`;
  const here = (mapped: boolean) => sources.filter((words) => isMapped(words) === mapped);
  const filters = [
    filterFor(here(true), `(tcp and ${range} and ${answersIn('tcp[13]')})`, 'icmp'),
    // tcp[…] knows IPv4 only; octet 13 behind the fixed header is octet 53 of the packet.
    filterFor(here(false), `(ip6[6] = 6 and ${range} and ${answersIn('ip6[53]')})`, 'icmp6'),
  ].filter((filter) => filter !== '');
  return filters.join(' or ');
}

/** Resets, and segments with both SYN and ACK. */
function answersIn(flags: string): string {
  return `(${flags} & ${FLAG_RST} != 0 or ${flags} & 0x12 = 0x12)`;
}

function filterFor(sources: readonly Words[], segments: string, errors: string): string {
  if (sources.length === 0) return '';
  const nets = [...cidrsOfAll(sources)].map((net) => `dst net ${net}`);
  // Without the addresses the filter passes more; the cookies identify our replies.
  const ours = nets.length > NETS_MAX ? '' : `(${nets.join(' or ')}) and `;
  return `(${ours}(${segments} or ${errors}))`;
}
