/**
 * The TCP FIN probe: a closed port answers RST, an open one drops the segment (RFC 9293 §3.10.7.2). Filters
 * that stop only SYNs let it pass. Some systems answer RST whether the port is open or closed.
 */
import { FLAG_FIN } from '../../packet/tcp.js';
import { RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { bareSegment, isResetTo, tcpProbe } from './tcp-probe.js';

export const tcpFin = tcpProbe({
  name: 'tcp-fin',
  about: 'TCP FIN: closed ports answer RST, open ones are silent',
  classes: [{ name: 'rst', rank: RANK.HOST, state: 'closed', isSuccess: false }],
  silence: 'open|filtered',
  options: [TTL],
  shape: bareSegment(FLAG_FIN),
  isProof: isResetTo({ acknowledges: 1 }),
  classify: () => 0,
});
