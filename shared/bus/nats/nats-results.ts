/** Result batches on a work-queue stream: removed by acknowledgement, once their segment is durable. */
import type { JsMsg } from '@nats-io/jetstream';
import { batchCodec, batchId } from '../batch-codec.js';
import type { ResultConsumer, ResultDelivery, ResultPublisher } from '../interfaces.js';
import type { BrokerConnection, StoreConnection } from './connection.js';
import { withRetry } from './retry.js';
import { renewCollector } from './streams.js';
import { CONSUMER, STREAM, SUBJECT } from './subjects.js';
import { decodeOrSkip } from './subscribe.js';

/** Unacknowledged batches: at most about 200 KiB each. */
const PREFETCH = 64;
const RETRY_MILLIS = 500;

export function resultPublisher(broker: BrokerConnection): ResultPublisher {
  return {
    async publish(batch, key) {
      const subject = SUBJECT.results(batch.survey, batch.agent, batch.shard);
      const bytes = batchCodec.encode(batch);
      const msgID = batchId(batch, key);
      await withRetry(broker, () => broker.jetstream.publish(subject, bytes, { msgID }));
    },
  };
}

export class NatsResults implements ResultConsumer {
  readonly #broker: StoreConnection;

  constructor(broker: StoreConnection) {
    this.#broker = broker;
  }

  async *consume(signal: AbortSignal): AsyncGenerator<ResultDelivery> {
    while (!signal.aborted && !this.#broker.closing.aborted) {
      try {
        yield* this.#consumeOnce(signal);
      } catch {
        // The server restarts, or a heartbeat was missed. Unstored batches are still in the stream, so
        // consuming can start again.
        await this.#broker.clock.sleep(RETRY_MILLIS, signal);
      }
    }
  }

  async *#consumeOnce(signal: AbortSignal): AsyncGenerator<ResultDelivery> {
    const { jetstream, manager } = this.#broker;
    await withRetry(this.#broker, () => renewCollector(manager));
    const consumer = await jetstream.consumers.get(STREAM.RESULTS, CONSUMER.COLLECTOR);
    const messages = await consumer.consume({ max_messages: PREFETCH, expires: 5000 });
    const stop = () => void messages.close();
    signal.addEventListener('abort', stop, { once: true });
    const unsubscribe = this.#broker.onReconnect(stop); // unacknowledged batches are delivered again
    try {
      if (signal.aborted) return;
      for await (const message of messages) {
        const delivery = toDelivery(message);
        if (delivery !== undefined) yield delivery;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      unsubscribe();
      stop();
    }
  }
}

function toDelivery(message: JsMsg): ResultDelivery | undefined {
  const batch = decodeOrSkip(batchCodec, message.data);
  const isWhereItBelongs =
    batch !== undefined &&
    message.subject === SUBJECT.results(batch.survey, batch.agent, batch.shard);
  if (isWhereItBelongs)
    return { batch, remaining: message.info.pending, acknowledge: () => message.ack() };
  message.term();
  return undefined;
}
