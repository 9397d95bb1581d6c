/**
 * Opens the fastest frame sender that the interface supports: tries the methods in turn, and reports the name
 * of the one that works. An operator may choose the method instead.
 */
import { Fault } from '../../shared/base/faults.js';
import type { TransmitMethod } from '../../shared/command/network-options.js';
import type { FrameSender } from '../interfaces.js';
import type { FrameSenderSetup, NextHopSetup } from './link-header.js';
import { openPacketSocket } from './packet-socket.js';
import { openPcapInject } from './pcap-inject.js';
import { openRawIp } from './raw-ip.js';
import { openTxRing } from './tx-ring.js';
import { openXdpSocket } from './xdp-socket.js';

type LinkTransmitMethod = Exclude<TransmitMethod, 'raw-ip'>;

/** Methods for frames with a link header, fastest first (`benchmarks/README.md`). */
export const LINK_SENDERS: Readonly<
  Record<LinkTransmitMethod, (setup: NextHopSetup) => FrameSender>
> = {
  'af-xdp': openXdpSocket,
  'tx-ring': openTxRing,
  packet: openPacketSocket,
  pcap: openPcapInject,
};

/** @param wanted undefined for the fastest @throws Fault */
export function openFrameSender(setup: FrameSenderSetup, wanted?: TransmitMethod): FrameSender {
  if (wanted === 'raw-ip') {
    if (setup.nextHop?.vlan === undefined) return openRawIp(setup);
    throw new Fault('BAD_OPTION', '--transmit raw-ip cannot send VLAN tags', {
      flag: '--transmit',
      value: wanted,
    });
  }
  if (!hasLink(setup)) {
    if (wanted === undefined) return openRawIp(setup);
    const reason = 'this interface carries no Ethernet frames: use --transmit raw-ip';
    throw new Fault('BAD_OPTION', reason, { flag: '--transmit', value: wanted });
  }
  if (wanted !== undefined) return LINK_SENDERS[wanted](setup);
  let fault: unknown;
  for (const open of Object.values(LINK_SENDERS)) {
    try {
      return open(setup);
    } catch (error) {
      if (error instanceof Fault && error.code !== 'SYSTEM_CALL') throw error;
      fault = error;
    }
  }
  throw fault;
}

function hasLink(setup: FrameSenderSetup): setup is NextHopSetup {
  return setup.nextHop !== undefined;
}
