/**
 * The ICMP echo probe, or ping (RFC 792; ICMPv6: RFC 4443 §4.1): is the host there? A host returns the
 * identifier, the sequence number and the data. They contain the cookie, and our clock, which gives the
 * round-trip time.
 */
import {
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_OCTETS,
  ICMPV6_ECHO,
  ICMPV6_ECHO_REPLY,
} from '../../packet/icmp.js';
import { PROTOCOL_ICMP } from '../../packet/ipv4.js';
import { NEXT_ICMPV6 } from '../../packet/ipv6.js';
import { icmpFilter } from '../capture-filter.js';
import { ipOctets } from '../ip-header.js';
import { type PacketProbe, RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { COOKIE_AT, IcmpMessages } from './icmp-messages.js';
import { messageReplies, UNREACHED_CLASS } from './icmp-replies.js';

const STAMP_AT = COOKIE_AT + 4;
const MESSAGE_OCTETS = ICMP_OCTETS + 8;

export const icmpEcho: PacketProbe = {
  kind: 'packet',
  name: 'icmp-echo',
  about: 'ICMP echo (ping): hosts that are up return it',
  families: [4, 6],
  hasPorts: false,
  choosesSourcePort: false,
  classes: [
    { name: 'echoreply', rank: RANK.SERVICE, state: 'up', isSuccess: true },
    UNREACHED_CLASS,
  ],
  silence: 'down|filtered',
  cookieBits: { reply: '64', quote: '32' },
  options: [TTL],
  protocol: (family) => (family === 4 ? PROTOCOL_ICMP : NEXT_ICMPV6),
  octets: (family) => ipOctets(family) + MESSAGE_OCTETS,
  captureFilter: (origin) => icmpFilter(origin, { v4: ICMP_ECHO_REPLY, v6: ICMPV6_ECHO_REPLY }),
  packets: (view, family, { options }) =>
    new IcmpMessages(view, family, {
      type: family === 4 ? ICMP_ECHO : ICMPV6_ECHO,
      octets: MESSAGE_OCTETS,
      ttl: Number(options['ttl']),
      cookieMask: 0,
      stampAt: STAMP_AT,
    }),
  replies: () =>
    messageReplies({
      typeV4: ICMP_ECHO_REPLY,
      typeV6: ICMPV6_ECHO_REPLY,
      cookieMask: 0,
      stampAt: STAMP_AT,
    }),
};
