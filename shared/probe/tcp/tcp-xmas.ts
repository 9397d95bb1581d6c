/**
 * The TCP XMAS probe: FIN, PSH and URG. A closed port resets it, an open one drops it.
 */
import { FLAG_FIN, FLAG_PSH, FLAG_URG } from '../../packet/tcp.js';
import { RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { bareSegment, isResetTo, tcpProbe } from './tcp-probe.js';

export const tcpXmas = tcpProbe({
  name: 'tcp-xmas',
  about: 'TCP FIN, PSH and URG: closed ports answer RST, open ones are silent',
  classes: [{ name: 'rst', rank: RANK.HOST, state: 'closed', isSuccess: false }],
  silence: 'open|filtered',
  options: [TTL],
  shape: bareSegment(FLAG_FIN | FLAG_PSH | FLAG_URG),
  isProof: isResetTo({ acknowledges: 1 }),
  classify: () => 0,
});
