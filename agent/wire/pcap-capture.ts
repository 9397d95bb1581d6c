/**
 * Capture through libpcap with a filter in the kernel. Every frame arrives in the same buffer and is
 * handled before the next; nothing is allocated for it here.
 *
 * The package has no types worth having for what we use: its events carry the buffer we already
 * know, and its header of sixteen octets (seconds, microseconds, captured, on the wire).
 */
import pcap from 'pcap';
import { describeError, Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { LinkLayer } from '../../shared/packet/dissect.js';
import type { Capture } from '../ports.js';

/** How long the kernel may gather frames before it wakes us. */
const GATHER_MILLIS = 20;

interface Session {
  readonly link_type: string;
  readonly buf: Buffer;
  readonly header: Buffer;
  /** The binding; what it calls when there is something to read may be replaced. */
  readonly session: { read_callback: () => void; dispatch(buf: Buffer, header: Buffer): number };
  on(event: 'packet', listener: () => void): void;
  stats(): { ps_recv: number; ps_drop: number; ps_ifdrop: number };
  close(): void;
}

/** @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
export function openCapture(device: string, filter: string): Capture {
  const session = openSession(device, filter);
  const { buf, header } = session;
  const view = new DataView(buf.buffer, buf.byteOffset, buf.byteLength);
  const stamps = new DataView(header.buffer, header.byteOffset, header.byteLength);
  let totals = { received: 0, dropped: 0, interfaceDropped: 0 };
  let isOpen = true;
  let isAlive = true;
  const { session: binding } = session;
  binding.read_callback = () => {
    if (binding.dispatch(buf, header) < 0) isAlive = false;
  };
  return {
    link: linkLayerOf(session, device),
    view,
    get isAlive() {
      return isAlive;
    },
    get totals() {
      if (isOpen) {
        const stats = session.stats();
        totals = {
          received: stats.ps_recv >>> 0,
          dropped: stats.ps_drop >>> 0,
          interfaceDropped: stats.ps_ifdrop >>> 0,
        };
      }
      return totals;
    },
    start(receive) {
      session.on('packet', () => {
        const micros = stamps.getUint32(0, true) * 1e6 + stamps.getUint32(4, true);
        receive(stamps.getUint32(8, true), micros);
      });
    },
    close() {
      isOpen = false;
      session.close();
    },
  };
}

/** @throws Fault UNSUPPORTED: frames of other kinds are not read, and must not pass for silence */
function linkLayerOf(session: Session, device: string): LinkLayer {
  if (session.link_type === 'LINKTYPE_ETHERNET') return 'ethernet';
  if (session.link_type === 'LINKTYPE_RAW') return 'ip';
  session.close();
  const why = `cannot read frames of ${device}: it has neither Ethernet nor plain IP`;
  throw new Fault('UNSUPPORTED', why, { value: session.link_type });
}

function openSession(device: string, filter: string): Session {
  pcap.warningHandler = () => {};
  try {
    return pcap.createSession(device, {
      filter,
      promiscuous: false,
      buffer_size: LIMITS.captureOctets,
      snap_length: LIMITS.snapOctets,
      buffer_timeout: GATHER_MILLIS,
    }) as unknown as Session;
  } catch (cause) {
    const why = describeError(cause);
    if (/permission|permitted/i.test(why)) {
      const sentence =
        'capturing is not permitted: run as root, or with the capability CAP_NET_RAW';
      throw new Fault('NO_CAP_NET_RAW', sentence, {}, cause);
    }
    throw new Fault('SYSTEM_CALL', `cannot capture on ${device}: ${why}`, {}, cause);
  }
}
