/**
 * Shards on a work-queue stream with one message per subject, so that a shard is on offer at most once.
 * Shards are pulled one at a time and never prefetched: if a consumer died, messages in its buffer would be
 * delivered again only after the ack-wait.
 */
import { AckPolicy, type Consumer, JetStreamApiError, type JsMsg } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { LIMITS } from '../../base/limits.js';
import type { ShardOffer, ShardQueue } from '../interfaces.js';
import { offerCodec } from '../messages.js';
import type { BrokerConnection } from './connection.js';
import { API_ERROR, isApiError, withRetry } from './retry.js';
import { CONSUMER, STREAM, SUBJECT } from './subjects.js';
import { decodeOrSkip } from './subscribe.js';

/** JetStream's status for "not found". */
const NOT_THERE = 404;
/** nats.js rejects shorter waits. */
const WAIT_MILLIS_MIN = 1000;

export class NatsWork implements ShardQueue {
  readonly #broker: BrokerConnection;
  readonly #consumers = new Map<string, Consumer>();

  constructor(broker: BrokerConnection) {
    this.#broker = broker;
  }

  async open(survey: string): Promise<void> {
    const { manager } = this.#broker;
    await withRetry(this.#broker, () =>
      manager.consumers.add(STREAM.WORK, {
        durable_name: CONSUMER.agentsOf(survey),
        filter_subject: SUBJECT.workOf(survey),
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(LIMITS.workAckMillis),
        max_ack_pending: -1,
        max_waiting: LIMITS.requestsWaiting,
      }),
    );
  }

  async offer(survey: string, shard: number): Promise<void> {
    const subject = SUBJECT.work(survey, shard);
    const content = offerCodec.encode({ survey, shard });
    await withRetry(this.#broker, async () => {
      try {
        await this.#broker.jetstream.publish(subject, content);
      } catch (error) {
        if (!isApiError(error, API_ERROR.STREAM_FULL)) throw error; // else it is on offer already
      }
    });
  }

  async next(
    survey: string,
    waitMillis: number,
    signal: AbortSignal,
  ): Promise<ShardOffer | undefined> {
    const expires = Math.max(WAIT_MILLIS_MIN, waitMillis);
    try {
      const consumer = this.#consumers.get(survey) ?? (await this.#consumerOf(survey));
      const message = await consumer.next({ expires });
      return message === null ? undefined : toOffer(message);
    } catch {
      // The server restarts, a heartbeat was missed, or the survey is over: the caller retries.
      this.#consumers.delete(survey);
      await this.#broker.clock.sleep(LIMITS.batchMillis, signal);
      return undefined;
    }
  }

  /**
   * Removes the consumer before the messages, because in nats-server 2.9.10 a consumer skips later messages
   * after a filtered purge.
   */
  async close(survey: string): Promise<void> {
    await this.#remove(CONSUMER.agentsOf(survey));
    const filter = SUBJECT.workOf(survey);
    await withRetry(this.#broker, () =>
      this.#broker.manager.streams.purge(STREAM.WORK, { filter }),
    );
  }

  async #consumerOf(survey: string): Promise<Consumer> {
    const name = CONSUMER.agentsOf(survey);
    const consumer = await this.#broker.jetstream.consumers.get(STREAM.WORK, name);
    this.#consumers.set(survey, consumer);
    return consumer;
  }

  async #remove(consumer: string): Promise<void> {
    await withRetry(this.#broker, async () => {
      try {
        await this.#broker.manager.consumers.delete(STREAM.WORK, consumer);
      } catch (error) {
        if (!(error instanceof JetStreamApiError && error.status === NOT_THERE)) throw error;
      }
    });
  }
}

function toOffer(message: JsMsg): ShardOffer | undefined {
  const content = decodeOrSkip(offerCodec, message.data);
  if (content === undefined) {
    message.term();
    return undefined;
  }
  return {
    ...content,
    extend: () => message.working(),
    complete: async () => message.ack(),
    release: (millis) => message.nak(millis),
  };
}
