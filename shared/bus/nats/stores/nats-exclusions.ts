/** Exclusions in a key-value bucket: one key per version, written once. */
import type { KV } from '@nats-io/kv';
import type { Exclusion } from '../../../survey/policy/exclusions.js';
import type { ExclusionStore } from '../../interfaces.js';
import { exclusionCodec } from '../../messages.js';
import type { BrokerConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { KEY } from '../subjects.js';
import { decodeOrSkip, watchBucket } from '../subscribe.js';
import { compareAndSet } from './compare-and-set.js';

export class NatsExclusions implements ExclusionStore {
  readonly #broker: BrokerConnection;
  readonly #bucket: KV;

  constructor(broker: BrokerConnection, bucket: KV) {
    this.#broker = broker;
    this.#bucket = bucket;
  }

  async add(entry: Exclusion): Promise<boolean> {
    const key = KEY.exclusion(entry.version);
    const bytes = exclusionCodec.encode(entry);
    return (
      (await compareAndSet(this.#broker, this.#bucket, key, { bytes, revision: 0 })) !== undefined
    );
  }

  async replace(entry: Exclusion): Promise<void> {
    const bytes = exclusionCodec.encode(entry);
    await withRetry(this.#broker, () => this.#bucket.put(KEY.exclusion(entry.version), bytes));
  }

  async list(): Promise<readonly Exclusion[]> {
    const entries: Exclusion[] = [];
    for await (const key of await withRetry(this.#broker, () => this.#bucket.keys())) {
      const entry = await withRetry(this.#broker, () => this.#bucket.get(key));
      const exclusion = entry ? decodeOrSkip(exclusionCodec, entry.value) : undefined;
      if (exclusion !== undefined) entries.push(exclusion);
    }
    return entries;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Exclusion> {
    const entries = watchBucket(this.#broker, this.#bucket, '>', exclusionCodec, signal);
    for await (const { value } of entries) yield value;
  }
}
