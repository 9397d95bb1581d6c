/**
 * The TCP NULL probe: a segment without any flag. A closed port resets it, an open one drops it.
 */
import { RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { bareSegment, isResetTo, tcpProbe } from './tcp-probe.js';

export const tcpNull = tcpProbe({
  name: 'tcp-null',
  about: 'TCP without flags: closed ports answer RST, open ones are silent',
  classes: [{ name: 'rst', rank: RANK.HOST, state: 'closed', isSuccess: false }],
  silence: 'open|filtered',
  options: [TTL],
  shape: bareSegment(0),
  isProof: isResetTo({ acknowledges: 0 }),
  classify: () => 0,
});
