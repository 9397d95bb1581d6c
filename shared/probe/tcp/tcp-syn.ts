/**
 * The TCP SYN probe: is a service listening? An open port answers SYN-ACK, a closed one RST, and routers that
 * cannot or will not deliver answer ICMP. The SYN cookie is the sequence number: a SYN-ACK acknowledges
 * cookie + 1 (RFC 9293 §3.4), a reset acknowledges the cookie or cookie + 1 (§3.10.7.1; some middleboxes send
 * the former), and ICMP errors quote ports and sequence number.
 */
import { FLAG_ACK, FLAG_RST, FLAG_SYN } from '../../packet/tcp.js';
import { RANK } from '../probe.js';
import { choice, TTL } from '../probe-options.js';
import { LAYOUT_NAMES, type LayoutName, layoutTradeOff, synLayout } from './syn-options.js';
import { tcpProbe } from './tcp-probe.js';

const SYN_ACK = FLAG_SYN | FLAG_ACK;

export const tcpSyn = tcpProbe({
  name: 'tcp-syn',
  about: 'TCP SYN: open ports answer SYN-ACK, closed ones RST',
  classes: [
    { name: 'synack', rank: RANK.SERVICE, state: 'open', isSuccess: true },
    { name: 'rst', rank: RANK.HOST, state: 'closed', isSuccess: false },
  ],
  silence: 'filtered',
  options: [choice('layout', LAYOUT_NAMES, 'mss', 'TCP options as a system sends them'), TTL],
  alsoFlags: `= ${SYN_ACK}`,
  tradeOff: (options) => layoutTradeOff(options['layout'] as LayoutName),
  shape(family, options) {
    const layout = synLayout(options['layout'] as LayoutName, family === 6);
    return { ...layout, flags: FLAG_SYN, ttl: Number(options['ttl']) };
  },
  isProof({ flags, acknowledgment }, cookie) {
    const isReset = (flags & FLAG_RST) !== 0;
    if (!isReset && (flags & SYN_ACK) !== SYN_ACK) return false;
    const beyond = (acknowledgment - cookie) >>> 0;
    return beyond === 1 || (isReset && beyond === 0);
  },
  classify: ({ flags }) => (flags & FLAG_RST ? 1 : 0),
});
