/**
 * Shards on a work-queue stream with one message per subject: a shard is on offer at most once. They
 * are pulled one at a time with next(), never prefetched: what a consumer has buffered when it dies
 * would wait out the whole ack-wait.
 */
import type { Consumer, JsMsg } from '@nats-io/jetstream';
import { LIMITS } from '../../base/limits.js';
import { offerCodec } from '../messages.js';
import type { ShardOffer, ShardQueue } from '../ports.js';
import { API_ERROR, isApiError, type Link, patiently } from './link.js';
import { CONSUMER, STREAM, SUBJECT } from './names.js';
import { decodeOrSkip } from './subscribe.js';

/** nats.js refuses shorter waits. */
const WAIT_MILLIS_MIN = 1000;

export class NatsWork implements ShardQueue {
  readonly #link: Link;
  #consumer: Consumer | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  async offer(survey: string, shard: number): Promise<void> {
    const subject = SUBJECT.work(survey, shard);
    const content = offerCodec.encode({ survey, shard });
    await patiently(this.#link, async () => {
      try {
        await this.#link.jetstream.publish(subject, content);
      } catch (error) {
        if (!isApiError(error, API_ERROR.STREAM_FULL)) throw error; // else it is on offer already
      }
    });
  }

  async next(waitMillis: number, signal: AbortSignal): Promise<ShardOffer | undefined> {
    const expires = Math.max(WAIT_MILLIS_MIN, waitMillis);
    try {
      this.#consumer ??= await this.#link.jetstream.consumers.get(STREAM.WORK, CONSUMER.AGENTS);
      const message = await this.#consumer.next({ expires });
      return message === null ? undefined : toOffer(message);
    } catch {
      // The server restarts, or a heartbeat was missed: the caller asks again.
      this.#consumer = undefined;
      await this.#link.clock.sleep(LIMITS.batchMillis, signal);
      return undefined;
    }
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
    done: async () => message.ack(),
    giveBack: (millis) => message.nak(millis),
  };
}
