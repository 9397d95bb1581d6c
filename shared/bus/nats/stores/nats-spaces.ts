/**
 * Target spaces in a key-value bucket, by hash: large lists travel once, in chunks, several at a time. JetStream's
 * object store would add a digest of its own, which takes longer than the transfer; readers verify the hash.
 */
import type { KV } from '@nats-io/kv';
import { Fault } from '../../../base/faults.js';
import { LIMITS } from '../../../base/limits.js';
import { eachChunk } from '../../chunks.js';
import type { SpaceStore } from '../../interfaces.js';
import type { StoreConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { openBucket } from '../streams.js';
import { BUCKET, KEY } from '../subjects.js';

const chunkKey = (hash: string, from: number) => KEY.chunk(hash, from / LIMITS.chunkOctets);

export async function openSpaces(broker: StoreConnection): Promise<SpaceStore> {
  const bucket = await openBucket(broker, BUCKET.SPACES);
  const get = (hash: string) => read(broker, bucket, hash);
  return {
    get,
    async put(hash, bytes) {
      if (bytes.length > LIMITS.spaceOctets) {
        const reason = `the lists take ${bytes.length} octets, more than ${LIMITS.spaceOctets}: divide the survey`;
        throw new Fault('SPACE_TOO_LARGE', reason);
      }
      // A stored space may be anything: it is kept only if it has the right bytes.
      const known = await get(hash).catch(() => undefined);
      if (known !== undefined && Buffer.compare(known, bytes) === 0) return;
      await eachChunk(0, bytes.length, async (from, to) => {
        const part = bytes.subarray(from, to);
        await withRetry(broker, () => bucket.put(chunkKey(hash, from), part));
      });
      // Written last: only a complete space has it.
      await withRetry(broker, () => bucket.put(KEY.octets(hash), `${bytes.length}`));
    },
  };
}

/** @throws Fault MISSING_SPACE if a part of it is missing */
async function read(
  broker: StoreConnection,
  bucket: KV,
  hash: string,
): Promise<Uint8Array | undefined> {
  const head = await withRetry(broker, () => bucket.get(KEY.octets(hash)));
  if (head?.operation !== 'PUT') return undefined;
  const octets = Number(head.string());
  const missing = new Fault('MISSING_SPACE', 'a part of the target space is missing');
  if (!Number.isInteger(octets) || octets < 0 || octets > LIMITS.spaceOctets) throw missing;
  // Shared, so that sender threads use the same memory.
  const bytes = new Uint8Array(new SharedArrayBuffer(octets));
  await eachChunk(0, octets, async (from, to) => {
    const entry = await withRetry(broker, () => bucket.get(chunkKey(hash, from)));
    if (entry?.value.length !== to - from) throw missing;
    bytes.set(entry.value, from);
  });
  return bytes;
}
