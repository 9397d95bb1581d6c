/**
 * The control API over core NATS request and reply. Because a reply may be larger than one message, it is
 * sent in chunks, and an empty message marks its end.
 */
import { type Msg, NoRespondersError, RequestError } from '@nats-io/transport-node';
import { toFaultCode } from '../../base/exit-codes.js';
import { describeError, Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import type { ControlApi, ControlHandlers, ControlVerb, ControlVerbs } from '../control-api.js';
import { type ControlReply, replyCodec, requestCodec } from '../control-messages.js';
import type { LeaderStore } from '../interfaces.js';
import type { BrokerConnection } from './connection.js';
import { SUBJECT } from './subjects.js';

/** Time for an answer: long, because planning a large space takes longer than a lookup. */
const ANSWER_MILLIS = LIMITS.requestMillis * 10;
/** A request is repeated for this long, which is longer than a standby waits before it takes over. */
const TAKEOVER_MILLIS = 10_000;
const LOOK_MILLIS = 200;

export class NatsControl implements ControlApi {
  readonly #broker: BrokerConnection;
  readonly #leader: LeaderStore;

  constructor(broker: BrokerConnection, leader: LeaderStore) {
    this.#broker = broker;
    this.#leader = leader;
  }

  async ask<Verb extends ControlVerb>(
    verb: Verb,
    ask: ControlVerbs[Verb]['ask'],
  ): Promise<ControlVerbs[Verb]['answer']> {
    const reply = replyCodec.decode(await this.#request(verb, requestCodec.encode(ask)));
    if (reply.fault === undefined) return reply as unknown as ControlVerbs[Verb]['answer'];
    const { code, message: reason, flag, value } = reply.fault;
    throw new Fault(toFaultCode(code), reason, {
      flag: flag || undefined,
      value: value || undefined,
    });
  }

  /**
   * Sends a request. If the coordinator may have died, repeats it for a while, so that a standby has time to
   * take over.
   */
  async #request(verb: ControlVerb, bytes: Uint8Array): Promise<Uint8Array> {
    const { clock } = this.#broker;
    const giveUpAt = clock.monotonic() + TAKEOVER_MILLIS;
    for (;;) {
      try {
        return await this.#requestOnce(verb, bytes);
      } catch (cause) {
        if (!(cause instanceof RequestError || cause instanceof NoRespondersError)) throw cause;
        const leader = await this.#leader.read();
        const isExpected = leader !== undefined && !leader.value.resigned;
        if (!isExpected || clock.monotonic() >= giveUpAt) {
          const reason = 'no coordinator answers; start one with: transect coordinator';
          throw new Fault('NO_COORDINATOR', reason, {}, cause);
        }
        await clock.sleep(LOOK_MILLIS);
      }
    }
  }

  async #requestOnce(verb: ControlVerb, bytes: Uint8Array): Promise<Uint8Array> {
    const options = { strategy: 'sentinel' as const, maxWait: ANSWER_MILLIS };
    const messages = await this.#broker.connection.requestMany(
      SUBJECT.control(verb),
      bytes,
      options,
    );
    const chunks: Uint8Array[] = [];
    for await (const { data } of messages) {
      if (data.length === 0) return Buffer.concat(chunks);
      chunks.push(data);
    }
    const reason = `the coordinator did not answer within ${ANSWER_MILLIS / 1000} s; is it overloaded?`;
    throw new Fault('NO_COORDINATOR', reason);
  }

  serve(handlers: ControlHandlers, signal: AbortSignal): void {
    for (const verb of Object.keys(handlers) as ControlVerb[]) {
      const handler = handlers[verb] as (ask: unknown) => Promise<Partial<ControlReply>>;
      const subscription = this.#broker.connection.subscribe(SUBJECT.control(verb), {
        callback(error, message) {
          if (error !== null) return;
          answer(handler, message.data)
            .then((reply) => respond(message, replyCodec.encode(reply)))
            .catch(() => {}); // the connection is gone: the requester times out
        },
      });
      signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
    }
  }
}

function respond(message: Msg, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; from += LIMITS.chunkOctets)
    message.respond(bytes.subarray(from, from + LIMITS.chunkOctets));
  message.respond();
}

async function answer(
  handler: (ask: unknown) => Promise<Partial<ControlReply>>,
  bytes: Uint8Array,
): Promise<Partial<ControlReply>> {
  try {
    return await handler(requestCodec.decode(bytes));
  } catch (error) {
    const { code, details } =
      error instanceof Fault ? error : { code: 'BAD_MESSAGE', details: {} as Fault['details'] };
    const message = error instanceof Fault ? error.message : describeError(error);
    return { fault: { code, message, flag: details.flag ?? '', value: details.value ?? '' } };
  }
}
