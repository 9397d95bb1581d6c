/**
 * Compare-and-set on a key-value bucket. If the answer to a write is lost, the write may have succeeded, and
 * its retry is then rejected. Therefore the stored content is compared with ours after a rejection; if they
 * are equal, the write has succeeded.
 */
import type { KV } from '@nats-io/kv';
import type { BrokerConnection } from '../connection.js';
import { API_ERROR, isApiError, withRetry } from '../retry.js';

/** @returns the new revision, or undefined if another write came first */
export async function compareAndSet(
  broker: BrokerConnection,
  bucket: KV,
  key: string,
  { bytes, revision }: { readonly bytes: Uint8Array; readonly revision: number },
): Promise<number | undefined> {
  try {
    return await withRetry(broker, () => bucket.put(key, bytes, { previousSeq: revision }));
  } catch (error) {
    if (!isApiError(error, API_ERROR.WRONG_LAST_SEQUENCE)) throw error;
    const entry = await withRetry(broker, () => bucket.get(key));
    const isOurs = entry !== null && Buffer.compare(entry.value, bytes) === 0;
    return isOurs ? entry.revision : undefined;
  }
}
