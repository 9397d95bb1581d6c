/**
 * Spaces and block rules that arrive in chunks. A complete one is kept under its hash; what arrives is somebody
 * else's word until its hash is verified.
 */
import type { Clock } from '../shared/base/clock.js';
import { Fault } from '../shared/base/faults.js';
import type { SpaceStore } from '../shared/bus/interfaces.js';
import { refuseOtherBytes } from '../shared/survey/space/space-bytes.js';

export interface UploadedChunk {
  /** SHA-256, hexadecimal. */
  readonly hash: string;
  readonly offset: number;
  /** Octets of all chunks. */
  readonly total: number;
  readonly chunk: Uint8Array;
}

interface Upload {
  readonly bytes: Uint8Array;
  /** Offsets of the chunks received. */
  readonly offsets: Set<number>;
  received: number;
  /** Our monotonic clock. */
  changedAt: number;
}

/** An upload that does not continue for this long is dropped. */
const IDLE_MILLIS = 60_000;
/** Uploads of one client at once. */
const AT_ONCE = 4;
/** Hashes of complete uploads that are remembered. */
const KNOWN_MAX = 1024;

export class Uploads {
  readonly #spaces: SpaceStore;
  readonly #clock: Clock;
  /** By client, then by hash. */
  readonly #uploads = new Map<string, Map<string, Upload>>();
  readonly #known = new Set<string>();

  constructor(spaces: SpaceStore, clock: Clock) {
    this.#spaces = spaces;
    this.#clock = clock;
  }

  /**
   * Takes a chunk. @returns the number of octets received of this upload: `total` once it is complete and stored
   * @throws Fault SPACE_TOO_LARGE, BAD_MESSAGE if the chunk or the hash does not fit
   */
  async take(client: string, part: UploadedChunk, octetsMax: number): Promise<number> {
    const { hash, offset, total, chunk } = part;
    if (total > octetsMax)
      throw new Fault('SPACE_TOO_LARGE', `${total} octets are more than ${octetsMax}`);
    if (offset + chunk.length > total || (chunk.length === 0 && total > 0))
      throw new Fault('BAD_MESSAGE', 'a chunk does not fit into its upload');
    if (this.#known.has(hash)) return total;
    const upload = this.#uploadOf(client, hash, total);
    upload.changedAt = this.#clock.monotonic();
    if (upload.offsets.has(offset)) return upload.received;
    upload.bytes.set(chunk, offset);
    upload.offsets.add(offset);
    upload.received += chunk.length;
    if (upload.received < total) return upload.received;
    this.#uploads.get(client)?.delete(hash);
    refuseOtherBytes(upload.bytes, hash, 'the upload');
    await this.#spaces.put(hash, upload.bytes);
    this.#known.add(hash);
    const [oldest = hash] = this.#known;
    if (this.#known.size > KNOWN_MAX) this.#known.delete(oldest);
    return total;
  }

  #uploadOf(client: string, hash: string, total: number): Upload {
    const now = this.#clock.monotonic();
    const uploads = this.#uploads.get(client) ?? new Map<string, Upload>();
    this.#uploads.set(client, uploads);
    const known = uploads.get(hash);
    if (known !== undefined && known.bytes.length === total) return known;
    for (const [other, { changedAt }] of uploads)
      if (now - changedAt > IDLE_MILLIS) uploads.delete(other);
    if (uploads.size >= AT_ONCE) throw new Fault('BAD_MESSAGE', 'too many uploads at once');
    const upload = {
      bytes: new Uint8Array(total),
      offsets: new Set<number>(),
      received: 0,
      changedAt: now,
    };
    uploads.set(hash, upload);
    return upload;
  }
}
