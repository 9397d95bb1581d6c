/**
 * Chooses a wire by trying: the fastest that the interface takes. Which one it became is reported by
 * its name. An operator may insist on one.
 */
import { Fault } from '../../shared/base/faults.js';
import type { WireName } from '../../shared/command/station-options.js';
import type { Wire } from '../ports.js';
import type { LinkSetup, WireSetup } from './link.js';
import { openPacketSocket } from './packet-socket.js';
import { openPcapInject } from './pcap-inject.js';
import { openRawIp } from './raw-ip.js';
import { openTxRing } from './tx-ring.js';
import { openXdpSocket } from './xdp-socket.js';

type LinkWireName = Exclude<WireName, 'raw-ip'>;

/** Wires for frames with a link header, fastest first (`benchmarks/README.md`). */
export const LINK_WIRES: Readonly<Record<LinkWireName, (setup: LinkSetup) => Wire>> = {
  'af-xdp': openXdpSocket,
  'tx-ring': openTxRing,
  packet: openPacketSocket,
  pcap: openPcapInject,
};

/** @param wanted undefined for the best @throws Fault */
export function openWire(setup: WireSetup, wanted?: WireName): Wire {
  if (wanted === 'raw-ip') {
    if (setup.link?.vlan === undefined) return openRawIp(setup);
    throw new Fault('BAD_OPTION', 'the kernel tags no frames for us: leave out --wire or --vlan', {
      flag: '--wire',
      value: wanted,
    });
  }
  if (!hasLink(setup)) {
    if (wanted === undefined) return openRawIp(setup);
    const why = 'frames to these targets need the kernel’s neighbour table: only raw-ip sends them';
    throw new Fault('BAD_OPTION', why, { flag: '--wire', value: wanted });
  }
  if (wanted !== undefined) return LINK_WIRES[wanted](setup);
  let fault: unknown;
  for (const open of Object.values(LINK_WIRES)) {
    try {
      return open(setup);
    } catch (error) {
      if (error instanceof Fault && error.code !== 'SYSTEM_CALL') throw error;
      fault = error;
    }
  }
  throw fault;
}

function hasLink(setup: WireSetup): setup is LinkSetup {
  return setup.link !== undefined;
}
