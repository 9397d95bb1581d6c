/**
 * Target spaces in a key-value bucket, by hash: large lists travel once, in chunks, several at a time. JetStream's
 * object store would add a digest of its own, which takes longer than the transfer; readers verify the hash.
 */
import type { KV } from '@nats-io/kv';
import { Fault } from '../../../base/faults.js';
import type { SpaceStore } from '../../interfaces.js';
import type { BrokerConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { openBucket } from '../streams.js';
import { BUCKET, KEY } from '../subjects.js';

/** Half of the largest message that a server accepts by default. */
const CHUNK_OCTETS = 512 * 1024;
/** Chunks in progress at once. */
const CHUNKS_AT_ONCE = 8;
/** Octets of the largest space: 134 M IPv6 addresses. A stored record cannot claim more. */
const SPACE_OCTETS_MAX = 2 ** 31;

export async function openSpaces(broker: BrokerConnection): Promise<SpaceStore> {
  const bucket = await openBucket(broker, BUCKET.SPACES);
  const get = (hash: string) => read(broker, bucket, hash);
  return {
    get,
    async put(hash, bytes) {
      if (bytes.length > SPACE_OCTETS_MAX) {
        const reason = `the lists take ${bytes.length} octets, more than ${SPACE_OCTETS_MAX}: divide the survey`;
        throw new Fault('SPACE_TOO_LARGE', reason);
      }
      // A stored space may be anything: it is kept only if it has the right bytes.
      const known = await get(hash).catch(() => undefined);
      if (known !== undefined && Buffer.compare(known, bytes) === 0) return;
      await eachChunk(bytes.length, async (chunk, from, to) => {
        const part = bytes.subarray(from, to);
        await withRetry(broker, () => bucket.put(KEY.chunk(hash, chunk), part));
      });
      // Written last: only a complete space has it.
      await withRetry(broker, () => bucket.put(KEY.octets(hash), `${bytes.length}`));
    },
  };
}

/** @throws Fault MISSING_SPACE if a part of it is missing */
async function read(
  broker: BrokerConnection,
  bucket: KV,
  hash: string,
): Promise<Uint8Array | undefined> {
  const head = await withRetry(broker, () => bucket.get(KEY.octets(hash)));
  if (head?.operation !== 'PUT') return undefined;
  const octets = Number(head.string());
  const missing = new Fault('MISSING_SPACE', 'a part of the target space is missing');
  if (!Number.isInteger(octets) || octets < 0 || octets > SPACE_OCTETS_MAX) throw missing;
  // Shared, so that sender threads use the same memory.
  const bytes = new Uint8Array(new SharedArrayBuffer(octets));
  await eachChunk(octets, async (chunk, from, to) => {
    const entry = await withRetry(broker, () => bucket.get(KEY.chunk(hash, chunk)));
    if (entry?.value.length !== to - from) throw missing;
    bytes.set(entry.value, from);
  });
  return bytes;
}

/** Calls `work` for each chunk of so many octets, for some at once. */
async function eachChunk(
  octets: number,
  work: (chunk: number, from: number, to: number) => Promise<void>,
): Promise<void> {
  const count = Math.ceil(octets / CHUNK_OCTETS);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const chunk = next++;
      const from = chunk * CHUNK_OCTETS;
      await work(chunk, from, Math.min(from + CHUNK_OCTETS, octets));
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, CHUNKS_AT_ONCE) }, lane));
}
