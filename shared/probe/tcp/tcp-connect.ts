/**
 * The TCP connect probe: a whole handshake through the kernel, for agents that may not use raw sockets. The
 * kernel keeps the state and checks the numbers; connections are bounded, and are reset once they are open.
 */
import { TCP_OCTETS } from '../../packet/tcp.js';
import { ipOctets } from '../ip-header.js';
import { type ConnectionProbe, ICMP_CLASS, RANK } from '../probe.js';

/** SYN, ACK and RST, of which the first has 20 octets of options. */
const SEGMENTS = 3;
const OPTION_OCTETS = 20;

export const tcpConnect: ConnectionProbe = {
  kind: 'connection',
  name: 'tcp-connect',
  about: 'TCP connect: whole handshakes through the kernel; needs no capability, and is slower',
  families: [4, 6],
  hasPorts: true,
  classes: [
    { name: 'connected', rank: RANK.SERVICE, state: 'open', isSuccess: true },
    { name: 'refused', rank: RANK.HOST, state: 'closed', isSuccess: false },
    ICMP_CLASS,
  ],
  silence: 'filtered',
  cookieBits: { reply: 'checked by the kernel', quote: 'checked by the kernel' },
  options: [],
  octets: (family) => SEGMENTS * (ipOctets(family) + TCP_OCTETS) + OPTION_OCTETS,
};
