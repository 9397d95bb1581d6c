/** Replies to the ICMP probes: the message that echoes both words of the cookie, and ICMP errors. */
import type { Dissection } from '../../packet/dissect.js';
import { ICMP_OCTETS } from '../../packet/icmp.js';
import type { Cookies } from '../cookies.js';
import { RANK, type ReplyClass, type ReplyReader } from '../probe.js';
import { COOKIE_AT } from './icmp-messages.js';

/** An ICMP error about a message: a router or the host reports that it does not arrive. */
export const UNREACHED_CLASS: ReplyClass = {
  name: 'icmp',
  rank: RANK.ROUTER,
  state: 'down|filtered',
  isSuccess: false,
};

export interface MessageReply {
  /** Type of the reply. */
  readonly typeV4: number;
  readonly typeV6?: number;
  readonly cookieMask: number;
  /** Offset of our clock in the reply; 0 if it has none. */
  readonly stampAt: number;
}

/** Makes a reader of replies (class 0) and ICMP errors (class 1). */
export function messageReplies({ typeV4, typeV6, cookieMask, stampAt }: MessageReply): ReplyReader {
  const hasData = ({ at, end }: Dissection, octets: number) => at + octets <= end;
  return {
    validate(reply: Dissection, cookies: Cookies): boolean {
      if (!cookies.compute(reply.flow, 0)) return false;
      if (reply.isError) return reply.quotedIcmp.identifiers === cookies.sequence;
      const { icmp, isIpv6 } = reply;
      if (icmp.type !== (isIpv6 ? typeV6 : typeV4)) return false;
      if (icmp.identifiers !== cookies.sequence || !hasData(reply, ICMP_OCTETS + 4)) return false;
      const expected = (cookies.second | cookieMask) >>> 0;
      return icmp.view.getUint32(icmp.at + COOKIE_AT) === expected;
    },
    classify: ({ isError }) => (isError ? 1 : 0),
    echoedStamp(reply) {
      if (stampAt === 0 || reply.isError || !hasData(reply, stampAt + 4)) return -1;
      return reply.icmp.view.getUint32(reply.icmp.at + stampAt);
    },
  };
}
