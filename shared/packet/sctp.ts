/**
 * SCTP common header and its first chunk (RFC 9260 §3), as far as a survey reads them.
 *
 *      0                   1                   2                   3
 *     |       Source Port Number      |    Destination Port Number    |
 *     |                       Verification Tag                        |
 *     |                           Checksum                            |
 *     |  Chunk Type   |  Chunk Flags  |         Chunk Length          |
 *     |          Initiate Tag (INIT and INIT ACK)                     |
 */
const PORTS = 0; // u16 each
const VERIFICATION_TAG = 4; // u32
const CHECKSUM = 8; // u32, little endian (RFC 9260 appendix A)
const CHUNK_TYPE = 12; // u8
const CHUNK_LENGTH = 14; // u16
const INITIATE_TAG = 16; // u32

/** The common header and the header of a chunk. */
export const SCTP_OCTETS = 16;
/** An INIT without parameters. */
export const SCTP_INIT_OCTETS = 32;
const CHUNK_INIT = 1;
export const CHUNK_INIT_ACK = 2;
export const CHUNK_ABORT = 6;

/** Reads and writes fields in place at `at`. Numbers are in host order. Nothing is checked here. */
export class SctpView {
  view: DataView;
  at = 0;

  constructor(view: DataView, at = 0) {
    this.view = view;
    this.at = at;
  }

  get verificationTag(): number {
    return this.view.getUint32(this.at + VERIFICATION_TAG);
  }
  get checksum(): number {
    return this.view.getUint32(this.at + CHECKSUM, true);
  }
  get chunkType(): number {
    return this.view.getUint8(this.at + CHUNK_TYPE);
  }

  /** Both ports as one number: ours in the high half, the target's in the low. */
  set ports(value: number) {
    this.view.setUint32(this.at + PORTS, value);
  }
  set initiateTag(value: number) {
    this.view.setUint32(this.at + INITIATE_TAG, value);
  }
  set checksum(value: number) {
    this.view.setUint32(this.at + CHECKSUM, value, true);
  }

  /** Lays out a packet with one INIT chunk (RFC 9260 §3.3.2); ports, tags and checksum are zero. */
  layOutInit(fields: { window: number; streams: number }): void {
    const { view, at } = this;
    for (let i = 0; i < SCTP_INIT_OCTETS; i += 4) view.setUint32(at + i, 0);
    view.setUint8(at + CHUNK_TYPE, CHUNK_INIT);
    view.setUint16(at + CHUNK_LENGTH, SCTP_INIT_OCTETS - CHUNK_TYPE);
    view.setUint32(at + INITIATE_TAG + 4, fields.window);
    view.setUint16(at + INITIATE_TAG + 8, fields.streams);
    view.setUint16(at + INITIATE_TAG + 10, fields.streams);
  }
}

const POLYNOMIAL = 0x82f63b78; // Castagnoli's, reflected (RFC 9260 appendix A)

const TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  return crc;
});

/** CRC32c of `length` octets from `at`, unsigned; before the call, the checksum field must be set to zero. */
export function crc32c(view: DataView, at: number, length: number): number {
  let crc = 0xffffffff;
  for (let i = at; i < at + length; i++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ view.getUint8(i)) & 0xff] as number);
  }
  return ~crc >>> 0;
}
