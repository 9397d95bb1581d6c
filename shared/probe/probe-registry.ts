/** The probe registry: all probes. Adding one takes a file and a line here. */
import { Fault } from '../base/faults.js';
import { icmpEcho } from './icmp/icmp-echo.js';
import { icmpTimestamp } from './icmp/icmp-timestamp.js';
import { arp } from './neighbour/arp.js';
import { nd } from './neighbour/nd.js';
import type { Probe } from './probe.js';
import { sctpInit } from './sctp/sctp-init.js';
import { tcpAck } from './tcp/tcp-ack.js';
import { tcpConnect } from './tcp/tcp-connect.js';
import { tcpFin } from './tcp/tcp-fin.js';
import { tcpMaimon } from './tcp/tcp-maimon.js';
import { tcpNull } from './tcp/tcp-null.js';
import { tcpSyn } from './tcp/tcp-syn.js';
import { tcpWindow } from './tcp/tcp-window.js';
import { tcpXmas } from './tcp/tcp-xmas.js';
import { udp } from './udp/udp.js';

export const PROBES: readonly Probe[] = [
  tcpSyn,
  tcpAck,
  tcpFin,
  tcpNull,
  tcpXmas,
  tcpWindow,
  tcpMaimon,
  tcpConnect,
  icmpEcho,
  icmpTimestamp,
  udp,
  sctpInit,
  arp,
  nd,
];

/** ZMap's names of its probe modules, each with the name of our probe for the same purpose. */
export const ZMAP_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    tcp_synscan: 'tcp-syn',
    icmp_echoscan: 'icmp-echo',
    icmp_echo_time: 'icmp-echo',
    icmp6_echoscan: 'icmp-echo',
    ipv6_tcp_synscan: 'tcp-syn',
    ipv6_udp: 'udp',
    dns: 'udp',
    ntp: 'udp',
    upnp: 'udp',
  }),
);

/** The probe with this name. @throws Fault BAD_OPTION that lists the names */
export function probeNamed(name: string): Probe {
  const probe = PROBES.find((candidate) => candidate.name === name);
  if (probe === undefined) {
    const names = PROBES.map((candidate) => candidate.name).join(', ');
    throw new Fault('BAD_OPTION', `no such probe; there are: ${names}`, { value: name });
  }
  return probe;
}
