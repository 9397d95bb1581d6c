/**
 * Captures frames through the `pcap` package, for interfaces on which the kernel provides no packet ring.
 * Every frame arrives in the same buffer and is handled before the next.
 *
 * The package (3.1.0) cannot close a session safely: its poll handle is a member of an object that the
 * garbage collector frees while the event loop still lists it, and `close` takes effect only at the next
 * frame. So sessions are kept for the life of the process and reused. A session's filter cannot be replaced
 * either, so each filter has its own session; there are few filters, because they follow from our addresses.
 */
import pcap from 'pcap';
import { monotonicMillis } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { LinkLayer } from '../../shared/packet/dissect.js';
import type { CaptureTotals, FrameSource, Receive, SourceSetup } from '../interfaces.js';
import { interfaceIndex } from '../system/libc.js';
import { compileFilter } from '../system/pcap-library.js';

/** The kernel may buffer frames for this long before it wakes us. */
const GATHER_MILLIS = 20;

/** The part of the package's session that we use; the package has no types for it. */
interface Session {
  readonly link_type: string;
  /** The native binding; its read callback may be replaced. */
  readonly session: { read_callback: () => void; dispatch(buf: Buffer, header: Buffer): number };
  on(event: 'packet', listener: () => void): void;
  stats(): { ps_recv: number; ps_drop: number; ps_ifdrop: number };
}

/** A session and its current reader. */
interface Kept {
  readonly session: Session;
  readonly link: LinkLayer;
  receive: Receive | undefined;
  isAlive: boolean;
}

const kept = new Map<string, Kept>();
/** Every session delivers its frames here. */
const frame = Buffer.alloc(LIMITS.snapOctets);
/** Seconds, microseconds, octets captured, octets on the wire: four u32 in host order. */
const header = Buffer.alloc(16);

/** @throws Fault NO_CAP_NET_RAW, NO_ROUTE, SYSTEM_CALL, or UNSUPPORTED for other kinds of links */
export function openPcapSource(setup: SourceSetup): FrameSource {
  let held = sessionFor(setup, setup.filter);
  let before = totalsOf(held.session);
  let earlier: CaptureTotals = { framesReceived: 0, framesDropped: 0, interfaceDropped: 0 };
  let isOpen = true;
  const totals = () => {
    const now = isOpen ? totalsOf(held.session) : before;
    return {
      framesReceived: earlier.framesReceived + now.framesReceived - before.framesReceived,
      framesDropped: earlier.framesDropped + now.framesDropped - before.framesDropped,
      interfaceDropped: earlier.interfaceDropped + now.interfaceDropped - before.interfaceDropped,
    };
  };
  /** Continues with another session, or stops reading if there is none. */
  const leave = (next: Kept | undefined) => {
    held.session.session.dispatch(frame, header); // delivers the buffered frames to the present reader
    earlier = totals();
    const { receive } = held;
    held.receive = undefined;
    if (next === undefined) isOpen = false;
    else {
      held = next;
      held.receive = receive;
    }
    before = totalsOf(held.session);
  };
  return {
    link: held.link,
    view: new DataView(frame.buffer, frame.byteOffset, frame.byteLength),
    get readUntil() {
      return monotonicMillis();
    },
    get isAlive() {
      return isOpen && held.isAlive;
    },
    get totals() {
      return totals();
    },
    setFilter(filter) {
      const next = sessionFor(setup, filter);
      if (next !== held) leave(next);
    },
    start(receive) {
      held.receive = receive;
    },
    close() {
      if (isOpen) leave(undefined);
    },
  };
}

function sessionFor({ device, vlan }: SourceSetup, filter: string): Kept {
  const expression = vlan === undefined ? filter : `vlan ${vlan} and (${filter})`;
  const key = `${interfaceIndex(device)} ${device} ${expression}`;
  // Checks the filter first, because a session that rejects its filter stays open.
  if (!kept.has(key)) compileFilter(filter, LIMITS.snapOctets);
  const held = kept.get(key) ?? open(device, expression);
  held.isAlive = true;
  kept.set(key, held);
  return held;
}

function open(device: string, filter: string): Kept {
  const session = openSession(device, filter);
  const { session: binding } = session;
  const stamps = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const link = linkLayerOf(session, device);
  const held: Kept = { session, link, receive: undefined, isAlive: true };
  binding.read_callback = () => {
    if (binding.dispatch(frame, header) < 0) held.isAlive = false;
  };
  session.on('packet', () => {
    const micros = stamps.getUint32(0, true) * 1e6 + stamps.getUint32(4, true);
    held.receive?.(0, stamps.getUint32(8, true), micros);
  });
  return held;
}

function totalsOf(session: Session): CaptureTotals {
  const stats = session.stats();
  return {
    framesReceived: stats.ps_recv >>> 0,
    framesDropped: stats.ps_drop >>> 0,
    interfaceDropped: stats.ps_ifdrop >>> 0,
  };
}

/**
 * @throws Fault UNSUPPORTED for other kinds of links: their frames cannot be read, and missing frames must
 * not look like silent targets
 */
function linkLayerOf(session: Session, device: string): LinkLayer {
  if (session.link_type === 'LINKTYPE_ETHERNET') return 'ethernet';
  if (session.link_type === 'LINKTYPE_RAW') return 'ip';
  const reason = `cannot read frames of ${device}: its link type is neither Ethernet nor raw IP`;
  throw new Fault('UNSUPPORTED', reason, { value: session.link_type });
}

function openSession(device: string, filter: string): Session {
  pcap.warningHandler = () => {};
  try {
    return pcap.createSession(device, {
      filter,
      promiscuous: false,
      buffer_size: LIMITS.captureOctets.fast,
      snap_length: LIMITS.snapOctets,
      buffer_timeout: GATHER_MILLIS,
    }) as unknown as Session;
  } catch (cause) {
    const reason = describeError(cause);
    if (/permission|permitted/i.test(reason)) {
      const sentence =
        'capturing is not permitted: run as root, or with the capability CAP_NET_RAW';
      throw new Fault('NO_CAP_NET_RAW', sentence, {}, cause);
    }
    throw new Fault('SYSTEM_CALL', `cannot capture on ${device}: ${reason}`, {}, cause);
  }
}
