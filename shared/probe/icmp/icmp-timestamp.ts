/**
 * The ICMP timestamp probe (RFC 792, page 16): some hosts that do not answer echo requests answer it. IPv4 only.
 * The second word of the cookie is the originate timestamp, with the high bit set, which marks a time that is
 * not milliseconds since midnight.
 */
import { ICMP_OCTETS, ICMP_TIMESTAMP, ICMP_TIMESTAMP_REPLY } from '../../packet/icmp.js';
import { PROTOCOL_ICMP } from '../../packet/ipv4.js';
import { icmpFilter } from '../capture-filter.js';
import { ipOctets } from '../ip-header.js';
import { type PacketProbe, RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { IcmpMessages } from './icmp-messages.js';
import { messageReplies, UNREACHED_CLASS } from './icmp-replies.js';

/** Originate, receive and transmit timestamp. */
const MESSAGE_OCTETS = ICMP_OCTETS + 12;
const NON_STANDARD = 0x80000000;

export const icmpTimestamp: PacketProbe = {
  kind: 'packet',
  name: 'icmp-timestamp',
  about: 'ICMP timestamp: some hosts that ignore echo requests answer it; IPv4 only',
  families: [4],
  hasPorts: false,
  choosesSourcePort: false,
  classes: [
    { name: 'timestampreply', rank: RANK.SERVICE, state: 'up', isSuccess: true },
    UNREACHED_CLASS,
  ],
  silence: 'down|filtered',
  cookieBits: { reply: '63', quote: '32' },
  options: [TTL],
  protocol: () => PROTOCOL_ICMP,
  octets: (family) => ipOctets(family) + MESSAGE_OCTETS,
  captureFilter: (origin) => icmpFilter(origin, { v4: ICMP_TIMESTAMP_REPLY }),
  packets: (view, family, { options }) =>
    new IcmpMessages(view, family, {
      type: ICMP_TIMESTAMP,
      octets: MESSAGE_OCTETS,
      ttl: Number(options['ttl']),
      cookieMask: NON_STANDARD,
      stampAt: 0,
    }),
  replies: () =>
    messageReplies({ typeV4: ICMP_TIMESTAMP_REPLY, cookieMask: NON_STANDARD, stampAt: 0 }),
};
