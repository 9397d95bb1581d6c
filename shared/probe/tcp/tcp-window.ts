/**
 * The TCP window probe: an ACK. On some systems, the reset that answers it has a window above zero if the
 * port is open; on most, the window is zero whether the port is open or closed.
 */
import { FLAG_ACK } from '../../packet/tcp.js';
import { RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { bareSegment, isResetTo, tcpProbe } from './tcp-probe.js';

export const tcpWindow = tcpProbe({
  name: 'tcp-window',
  about: 'TCP ACK: on some systems, the window of the RST shows whether the port is open',
  classes: [
    { name: 'window', rank: RANK.SERVICE, state: 'open', isSuccess: true },
    { name: 'rst', rank: RANK.HOST, state: 'closed', isSuccess: false },
  ],
  silence: 'filtered',
  options: [TTL],
  shape: bareSegment(FLAG_ACK),
  isProof: isResetTo('repeats our acknowledgment number'),
  classify: (reply) => (reply.window > 0 ? 0 : 1),
});
