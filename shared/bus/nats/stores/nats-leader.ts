/** The leader's record in a key-value bucket. */
import type { KV } from '@nats-io/kv';
import type { Leader, LeaderStore, Versioned } from '../../interfaces.js';
import { leaderCodec } from '../../messages.js';
import type { BrokerConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { KEY } from '../subjects.js';
import { decodeOrSkip } from '../subscribe.js';
import { compareAndSet } from './compare-and-set.js';

export class NatsLeader implements LeaderStore {
  readonly #broker: BrokerConnection;
  readonly #bucket: KV;

  constructor(broker: BrokerConnection, bucket: KV) {
    this.#broker = broker;
    this.#bucket = bucket;
  }

  async read(): Promise<Versioned<Leader> | undefined> {
    const entry = await withRetry(this.#broker, () => this.#bucket.get(KEY.LEADER));
    if (entry === null) return undefined;
    // Anyone may write to the broker, or delete records, so garbage is treated as "no leader". The
    // revision serves as the term then, so that terms keep increasing.
    const unknown = { id: '', term: entry.revision, resigned: true };
    const value = decodeOrSkip(leaderCodec, entry.value) ?? unknown;
    return { value, revision: entry.revision };
  }

  async write(leader: Leader, revision: number): Promise<number | undefined> {
    const bytes = leaderCodec.encode(leader);
    return await compareAndSet(this.#broker, this.#bucket, KEY.LEADER, { bytes, revision });
  }
}
