/** Result batches in memory: one per message id, each kept until it is acknowledged. */
import { Channel } from '../../base/channel.js';
import type { ResultBatch } from '../../survey/results.js';
import { batchCodec, batchId } from '../batch-codec.js';
import type { ResultConsumer, ResultDelivery, ResultPublisher } from '../interfaces.js';

export class MemoryResults implements ResultPublisher, ResultConsumer {
  readonly #kept = new Map<string, Uint8Array>();
  /** The last one receives; when it stops, the one before it does again, as with NATS. */
  #consumers: readonly Channel<ResultDelivery>[] = [];

  async publish(batch: ResultBatch, key: Uint8Array): Promise<void> {
    const identity = batchId(batch, key);
    if (this.#kept.has(identity)) return;
    this.#kept.set(identity, batchCodec.encode(batch));
    this.#deliver(identity);
  }

  /** Loses all batches. */
  lose(): void {
    this.#kept.clear();
  }

  consume(signal: AbortSignal): AsyncIterable<ResultDelivery> {
    const consumer = new Channel<ResultDelivery>(signal);
    if (signal.aborted) return consumer;
    this.#consumers = [...this.#consumers, consumer];
    this.#deliverAll();
    signal.addEventListener('abort', () => this.#remove(consumer), { once: true });
    return consumer;
  }

  #remove(consumer: Channel<ResultDelivery>): void {
    const hasReceived = this.#consumers.at(-1) === consumer;
    this.#consumers = this.#consumers.filter((each) => each !== consumer);
    if (hasReceived) this.#deliverAll();
  }

  #deliverAll(): void {
    let remaining = this.#kept.size;
    for (const identity of this.#kept.keys()) this.#deliver(identity, --remaining);
  }

  #deliver(identity: string, remaining = 0): void {
    const bytes = this.#kept.get(identity);
    if (bytes === undefined) return;
    const batch = batchCodec.decode(bytes);
    const acknowledge = () => void this.#kept.delete(identity);
    this.#consumers.at(-1)?.push({ batch, remaining, acknowledge });
  }
}
