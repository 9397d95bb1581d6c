/** Result batches in memory: one per message id, each kept until it is acknowledged. */
import { Channel } from '../../base/channel.js';
import type { ResultBatch } from '../../survey/results.js';
import { batchCodec, batchId } from '../batch-codec.js';
import type { ResultDelivery, ResultStream } from '../interfaces.js';

export class MemoryResults implements ResultStream {
  readonly #kept = new Map<string, Uint8Array>();
  #consumer: Channel<ResultDelivery> | undefined;

  async publish(batch: ResultBatch): Promise<void> {
    const identity = batchId(batch);
    if (this.#kept.has(identity)) return;
    this.#kept.set(identity, batchCodec.encode(batch));
    this.#deliver(identity);
  }

  /** Loses all batches. */
  lose(): void {
    this.#kept.clear();
  }

  consume(signal: AbortSignal): AsyncIterable<ResultDelivery> {
    this.#consumer = new Channel(signal);
    let remaining = this.#kept.size;
    for (const identity of this.#kept.keys()) this.#deliver(identity, --remaining);
    return this.#consumer;
  }

  #deliver(identity: string, remaining = 0): void {
    const bytes = this.#kept.get(identity);
    if (bytes === undefined) return;
    const batch = batchCodec.decode(bytes);
    this.#consumer?.push({ batch, remaining, acknowledge: () => void this.#kept.delete(identity) });
  }
}
