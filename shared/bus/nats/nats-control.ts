/** Requests of the command line to the coordinator: core request and reply. */
import { RequestError, TimeoutError } from '@nats-io/transport-node';
import { describeError, Fault, toFaultCode } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import { type ControlReply, replyCodec, requestCodec } from '../messages.js';
import type { ControlDesk, ControlHandlers, ControlVerb, ControlVerbs } from '../ports.js';
import type { Link } from './link.js';
import { SUBJECT } from './names.js';

/** Planning a large space takes longer than a look-up. */
const ANSWER_MILLIS = LIMITS.requestMillis * 10;

export class NatsControl implements ControlDesk {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  async ask<Verb extends ControlVerb>(
    verb: Verb,
    ask: ControlVerbs[Verb]['ask'],
  ): Promise<ControlVerbs[Verb]['answer']> {
    const { connection } = this.#link;
    const message = await connection
      .request(SUBJECT.control(verb), requestCodec.encode(ask), { timeout: ANSWER_MILLIS })
      .catch((cause: unknown) => {
        if (!(cause instanceof RequestError || cause instanceof TimeoutError)) throw cause;
        const why = 'no coordinator answers; start one with: transect coordinator';
        throw new Fault('NO_COORDINATOR', why, {}, cause);
      });
    const reply = replyCodec.decode(message.data);
    if (reply.fault === undefined) return reply as unknown as ControlVerbs[Verb]['answer'];
    const { code, message: why, flag, value } = reply.fault;
    throw new Fault(toFaultCode(code), why, { flag: flag || undefined, value: value || undefined });
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
