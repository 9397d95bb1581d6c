/** Requests of the command line to the coordinator: core request and reply. */
import { type Msg, RequestError, TimeoutError } from '@nats-io/transport-node';
import { describeError, Fault, toFaultCode } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import { type ControlReply, replyCodec, requestCodec } from '../messages.js';
import type {
  ControlDesk,
  ControlHandlers,
  ControlVerb,
  ControlVerbs,
  LeaderSeat,
} from '../ports.js';
import type { Link } from './link.js';
import { SUBJECT } from './names.js';

/** Planning a large space takes longer than a look-up. */
const ANSWER_MILLIS = LIMITS.requestMillis * 10;
/** Longer than a coordinator that stands by waits. */
const TAKEOVER_MILLIS = 10_000;
const LOOK_MILLIS = 200;

export class NatsControl implements ControlDesk {
  readonly #link: Link;

  readonly #seat: LeaderSeat;

  constructor(link: Link, seat: LeaderSeat) {
    this.#link = link;
    this.#seat = seat;
  }

  async ask<Verb extends ControlVerb>(
    verb: Verb,
    ask: ControlVerbs[Verb]['ask'],
  ): Promise<ControlVerbs[Verb]['answer']> {
    const message = await this.#request(verb, requestCodec.encode(ask));
    const reply = replyCodec.decode(message.data);
    if (reply.fault === undefined) return reply as unknown as ControlVerbs[Verb]['answer'];
    const { code, message: why, flag, value } = reply.fault;
    throw new Fault(toFaultCode(code), why, { flag: flag || undefined, value: value || undefined });
  }

  /** Where a coordinator has died, another one is about to take over: it is waited for. */
  async #request(verb: ControlVerb, bytes: Uint8Array): Promise<Msg> {
    const { connection, clock } = this.#link;
    const giveUpAt = clock.monotonic() + TAKEOVER_MILLIS;
    for (;;) {
      try {
        return await connection.request(SUBJECT.control(verb), bytes, { timeout: ANSWER_MILLIS });
      } catch (cause) {
        if (!(cause instanceof RequestError || cause instanceof TimeoutError)) throw cause;
        const leader = cause instanceof RequestError ? await this.#seat.read() : undefined;
        const isExpected = leader !== undefined && !leader.value.isVacant;
        if (!isExpected || clock.monotonic() >= giveUpAt) {
          const why = 'no coordinator answers; start one with: transect coordinator';
          throw new Fault('NO_COORDINATOR', why, {}, cause);
        }
        await clock.sleep(LOOK_MILLIS);
      }
    }
  }

  serve(handlers: ControlHandlers, signal: AbortSignal): void {
    for (const verb of Object.keys(handlers) as ControlVerb[]) {
      const handler = handlers[verb] as (ask: unknown) => Promise<Partial<ControlReply>>;
      const subscription = this.#link.connection.subscribe(SUBJECT.control(verb), {
        callback(error, message) {
          if (error !== null) return;
          answer(handler, message.data)
            .then((reply) => message.respond(replyCodec.encode(reply)))
            .catch(() => {}); // the connection is gone, or the answer too large: the asker times out
        },
      });
      signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
    }
  }
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
