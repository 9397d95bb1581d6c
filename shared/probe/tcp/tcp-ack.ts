/**
 * The TCP ACK probe: is there a stateful firewall in front of the port? A host answers RST to an ACK of no
 * connection, whether the port is open or closed; a firewall that tracks connections drops such an ACK.
 */
import { FLAG_ACK } from '../../packet/tcp.js';
import { RANK } from '../probe.js';
import { TTL } from '../probe-options.js';
import { bareSegment, isResetTo, tcpProbe } from './tcp-probe.js';

export const tcpAck = tcpProbe({
  name: 'tcp-ack',
  about: 'TCP ACK: hosts answer RST unless a firewall that tracks connections drops it',
  classes: [{ name: 'rst', rank: RANK.HOST, state: 'unfiltered', isSuccess: true }],
  silence: 'filtered',
  options: [TTL],
  shape: bareSegment(FLAG_ACK),
  isProof: isResetTo('repeats our acknowledgment number'),
  classify: () => 0,
});
