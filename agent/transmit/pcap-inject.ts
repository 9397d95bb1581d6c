/**
 * Sends Ethernet frames through libpcap's pcap_inject. This is the slowest method, with one call per frame,
 * but it needs only libpcap.
 */
import { Fault } from '../../shared/base/faults.js';
import type { FrameSender } from '../interfaces.js';
import { allocate, lastErrno, type Memory } from '../system/libc.js';
import { pcapLibrary } from '../system/pcap-library.js';
import { frameStride } from './frame-stride.js';
import { linkHeaderOctets, type NextHopSetup, writeLinkHeader } from './link-header.js';

const ERROR_OCTETS = 256;
const FRAMES = 64;

/** @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
export function openPcapInject(setup: NextHopSetup): FrameSender {
  const { create, activate, inject, geterr, close } = pcapLibrary();
  const error = Buffer.alloc(ERROR_OCTETS);
  const handle = create(setup.device, error) as object | null;
  if (handle === null) throw new Fault('SYSTEM_CALL', `pcap_create: ${cString(error)}`);
  if ((activate(handle) as number) < 0) {
    const reason = String(geterr(handle));
    close(handle);
    const code = /permi/i.test(reason) ? 'NO_CAP_NET_RAW' : 'SYSTEM_CALL';
    throw new Fault(code, `cannot inject on ${setup.device}: ${reason}`);
  }
  const nextHop = linkHeaderOctets(setup);
  const stride = frameStride(nextHop + setup.octets);
  const memory = allocateOr(FRAMES * stride, () => close(handle));
  for (let i = 0; i < FRAMES; i++) writeLinkHeader(memory.view, i * stride, setup);
  let first = 0;
  let errno = 0;
  const advance = (frames: number) => {
    first = (first + frames) % FRAMES;
  };
  return {
    name: `pcap ${setup.device}`,
    view: memory.view,
    frames: FRAMES,
    packetAt: (frame) => frame * stride + nextHop,
    room: () => FRAMES,
    locate(count, packetAt) {
      for (let slot = 0; slot < count; slot++) {
        packetAt[slot] = ((first + slot) % FRAMES) * stride + nextHop;
      }
    },
    send(count) {
      for (let slot = 0; slot < count; slot++) {
        const at = memory.base + BigInt(((first + slot) % FRAMES) * stride);
        if ((inject(handle, at, nextHop + setup.octets) as number) < 0) {
          errno = lastErrno();
          advance(slot);
          return slot;
        }
      }
      advance(count);
      return count;
    },
    dropFirst: () => advance(1),
    discard() {},
    get errno() {
      return errno;
    },
    close() {
      close(handle);
      memory.release();
    },
  };
}

function allocateOr(octets: number, giveUp: () => void): Memory {
  try {
    return allocate(octets);
  } catch (error) {
    giveUp();
    throw error;
  }
}

function cString(octets: Buffer): string {
  return octets.toString('utf8', 0, octets.indexOf(0));
}
