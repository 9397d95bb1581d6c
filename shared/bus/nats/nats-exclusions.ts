/** Exclusions in a key-value bucket: one key per version, written once. */
import type { KV } from '@nats-io/kv';
import type { Exclusion } from '../../survey/exclusions.js';
import { exclusionCodec } from '../messages.js';
import type { ExclusionBoard } from '../ports.js';
import { compareAndSet } from './compare-and-set.js';
import { type Link, patiently } from './link.js';
import { KEY } from './names.js';
import { decodeOrSkip, watchBucket } from './subscribe.js';

export class NatsExclusions implements ExclusionBoard {
  readonly #link: Link;
  readonly #bucket: KV;

  constructor(link: Link, bucket: KV) {
    this.#link = link;
    this.#bucket = bucket;
  }

  async add(entry: Exclusion): Promise<boolean> {
    const key = KEY.exclusion(entry.version);
    const bytes = exclusionCodec.encode(entry);
    return (
      (await compareAndSet(this.#link, this.#bucket, key, { bytes, revision: 0 })) !== undefined
    );
  }

  async list(): Promise<readonly Exclusion[]> {
    const entries: Exclusion[] = [];
    for await (const key of await patiently(this.#link, () => this.#bucket.keys())) {
      const entry = await patiently(this.#link, () => this.#bucket.get(key));
      const exclusion = entry ? decodeOrSkip(exclusionCodec, entry.value) : undefined;
      if (exclusion !== undefined) entries.push(exclusion);
    }
    return entries;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Exclusion> {
    const entries = watchBucket(this.#link, this.#bucket, '>', exclusionCodec, signal);
    for await (const { value } of entries) yield value;
  }
}
