/**
 * UDP header (RFC 768).
 *
 *      0                   1                   2                   3
 *     |          Source Port          |       Destination Port        |
 *     |            Length             |           Checksum            |
 */
const SOURCE_PORT = 0; // u16, then the destination port, u16
const LENGTH = 4; // u16
const CHECKSUM = 6; // u16

export const UDP_OCTETS = 8;

/** Reads and writes fields in place at `at`. Numbers are in host order. Nothing is checked here. */
export class UdpView {
  view: DataView;
  at = 0;

  constructor(view: DataView, at = 0) {
    this.view = view;
    this.at = at;
  }

  /** Octets, header included. */
  get length(): number {
    return this.view.getUint16(this.at + LENGTH);
  }

  /** Both ports as one number: ours in the high half, the target's in the low. */
  set ports(value: number) {
    this.view.setUint32(this.at + SOURCE_PORT, value);
  }
  /** In this field, zero means "no checksum", so a checksum of zero is sent as 0xffff. */
  set checksum(value: number) {
    this.view.setUint16(this.at + CHECKSUM, value === 0 ? 0xffff : value);
  }

  /** Lays out a header; ports and checksum are zero. */
  layOut(length: number): void {
    this.ports = 0;
    this.view.setUint16(this.at + LENGTH, length);
    this.view.setUint16(this.at + CHECKSUM, 0);
  }
}
