/**
 * TCP header (RFC 9293 §3.1) and the options a survey reads (RFC 9293 §3.2, RFC 7323, RFC 2018).
 *
 *      0                   1                   2                   3
 *     |          Source Port          |       Destination Port        |
 *     |                        Sequence Number                        |
 *     |                    Acknowledgment Number                      |
 *     | Offset|  Rsrvd  |    Flags    |            Window             |
 *     |           Checksum            |         Urgent Pointer        |
 */
const SOURCE_PORT = 0; // u16
const DESTINATION_PORT = 2; // u16
const SEQUENCE = 4; // u32
const ACKNOWLEDGMENT = 8; // u32
const DATA_OFFSET = 12; // u8: 32-bit words in the high half
const FLAGS = 13; // u8
const WINDOW = 14; // u16
const CHECKSUM = 16; // u16
const URGENT = 18; // u16

export const TCP_OCTETS = 20;
export const FLAG_FIN = 0x01;
export const FLAG_SYN = 0x02;
export const FLAG_RST = 0x04;
export const FLAG_PSH = 0x08;
export const FLAG_ACK = 0x10;
export const FLAG_URG = 0x20;

/** Reads and writes fields in place at `at`. Numbers are in host order. Nothing is checked here. */
export class TcpView {
  view: DataView;
  at = 0;

  constructor(view: DataView, at = 0) {
    this.view = view;
    this.at = at;
  }

  get sourcePort(): number {
    return this.view.getUint16(this.at + SOURCE_PORT);
  }
  get destinationPort(): number {
    return this.view.getUint16(this.at + DESTINATION_PORT);
  }
  get sequence(): number {
    return this.view.getUint32(this.at + SEQUENCE);
  }
  get acknowledgment(): number {
    return this.view.getUint32(this.at + ACKNOWLEDGMENT);
  }
  /** Octets, options included: 0 … 60. */
  get headerOctets(): number {
    return (this.view.getUint8(this.at + DATA_OFFSET) >>> 4) << 2;
  }
  get flags(): number {
    return this.view.getUint8(this.at + FLAGS);
  }
  get window(): number {
    return this.view.getUint16(this.at + WINDOW);
  }

  /** Both ports as one number: ours in the high half, the target's in the low. */
  set ports(value: number) {
    this.view.setUint32(this.at + SOURCE_PORT, value);
  }
  set sequence(value: number) {
    this.view.setUint32(this.at + SEQUENCE, value);
  }
  set acknowledgment(value: number) {
    this.view.setUint32(this.at + ACKNOWLEDGMENT, value);
  }
  set checksum(value: number) {
    this.view.setUint16(this.at + CHECKSUM, value);
  }

  /** Lays out a header with options; ports, sequence and acknowledgment numbers and checksum are zero. */
  layOut(header: { flags: number; window: number; options: readonly number[] }): void {
    const { view, at } = this;
    const { options } = header;
    view.setUint32(at + SOURCE_PORT, 0);
    view.setUint32(at + SEQUENCE, 0);
    view.setUint32(at + ACKNOWLEDGMENT, 0);
    view.setUint8(at + DATA_OFFSET, ((TCP_OCTETS + options.length) >>> 2) << 4);
    view.setUint8(at + FLAGS, header.flags);
    view.setUint16(at + WINDOW, header.window);
    view.setUint16(at + CHECKSUM, 0);
    view.setUint16(at + URGENT, 0);
    for (let i = 0; i < options.length; i++) view.setUint8(at + TCP_OCTETS + i, options[i] ?? 0);
  }
}

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2; // length 4
const OPTION_WINDOW_SCALE = 3; // length 3
const OPTION_SACK_PERMITTED = 4; // length 2
const OPTION_TIMESTAMPS = 8; // length 10

/** Names of the option kinds in a layout, by code, as nmap and p0f write them. Code 0 ends a layout. */
const OPTION_NAMES = ['', 'eol', 'nop', 'mss', 'ws', 'sok', 'ts', 'other'] as const;
const LAYOUT_BITS = 3;
const LAYOUT_KINDS_MAX = 10;
const CODE_OTHER = 7;
/** By kind. */
const CODES = new Uint8Array(256).fill(CODE_OTHER);
for (const [kind, code] of [
  [0, 1],
  [1, 2],
  [2, 3],
  [3, 4],
  [4, 5],
  [8, 6],
] as const) {
  CODES[kind] = code;
}

/** A layout as text: the kinds in their order, such as `mss,sok,ts,nop,ws`. */
export function formatLayout(layout: number): string {
  const names: string[] = [];
  for (let left = layout; left > 0; left = Math.floor(left / 2 ** LAYOUT_BITS)) {
    names.push(OPTION_NAMES[left % 2 ** LAYOUT_BITS] ?? '');
  }
  return names.join(',');
}

/** The options of one header; −1 if one is absent. Refilled by each `read`. */
export class TcpOptions {
  /** Octets. */
  maximumSegment = -1;
  /** Bits to shift by. */
  windowScale = -1;
  /** 1 if permitted. */
  sackPermitted = -1;
  timestampValue = -1;
  timestampEcho = -1;
  /**
   * The first ten options in order, from the lowest bits up: three bits for each option hold its index in
   * `OPTION_NAMES`.
   */
  layout = 0;
  #kinds = 0;

  /** Reads the options of a header. The header must have been dissected, so that its whole length is readable. */
  read(tcp: TcpView): void {
    const { view } = tcp;
    const end = tcp.at + tcp.headerOctets;
    this.clear();
    let at = tcp.at + TCP_OCTETS;
    while (at < end) {
      const kind = view.getUint8(at);
      this.#noteKind(kind);
      if (kind === OPTION_END) return;
      if (kind === OPTION_NOP) {
        at++;
        continue;
      }
      const length = at + 1 < end ? view.getUint8(at + 1) : 0;
      if (length < 2 || at + length > end) return; // malformed: the options read so far stay
      this.#take(view, at, kind, length);
      at += length;
    }
  }

  clear(): void {
    this.maximumSegment = -1;
    this.windowScale = -1;
    this.sackPermitted = -1;
    this.timestampValue = -1;
    this.timestampEcho = -1;
    this.layout = 0;
    this.#kinds = 0;
  }

  #noteKind(kind: number): void {
    if (this.#kinds === LAYOUT_KINDS_MAX) return;
    this.layout |= (CODES[kind] as number) << (LAYOUT_BITS * this.#kinds++);
  }

  #take(view: DataView, at: number, kind: number, length: number): void {
    if (kind === OPTION_MSS && length === 4) this.maximumSegment = view.getUint16(at + 2);
    else if (kind === OPTION_WINDOW_SCALE && length === 3) this.windowScale = view.getUint8(at + 2);
    else if (kind === OPTION_SACK_PERMITTED && length === 2) this.sackPermitted = 1;
    else if (kind === OPTION_TIMESTAMPS && length === 10) {
      this.timestampValue = view.getUint32(at + 2);
      this.timestampEcho = view.getUint32(at + 6);
    }
  }
}
