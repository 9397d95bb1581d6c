/**
 * The Maimon probe (Uriel Maimon, Phrack 49, article 15): a segment with FIN and ACK. RFC 9293 demands a
 * reset in every state, but systems derived from BSD drop the segment if the port is open.
 */
import { FLAG_ACK, FLAG_FIN } from '../../packet/tcp.js';
import { RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { bareSegment, isResetTo, tcpProbe } from './tcp-probe.js';

export const tcpMaimon = tcpProbe({
  name: 'tcp-maimon',
  about: 'TCP FIN and ACK: closed ports answer RST, open ones of BSD systems are silent',
  classes: [{ name: 'rst', rank: RANK.HOST, state: 'closed', isSuccess: false }],
  silence: 'open|filtered',
  options: [TTL],
  shape: bareSegment(FLAG_FIN | FLAG_ACK),
  isProof: isResetTo('repeats our acknowledgment number'),
  classify: () => 0,
});
