/**
 * The control API over core NATS request and reply. Because a reply may be larger than one message, it is
 * sent in chunks, and an empty message marks its end.
 */
import {
  type Msg,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
} from '@nats-io/transport-node';
import { Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import type { ControlApi, ControlServer, ControlVerb, ControlVerbs } from '../control-api.js';
import {
  type ControlReply,
  type ControlRequest,
  replyCodec,
  requestCodec,
} from '../control-messages.js';
import type { BrokerConnection } from './connection.js';
import { fromReply, toReply } from './faults.js';
import { SUBJECT } from './subjects.js';

/** Time for an answer: long, because planning a large space takes longer than a lookup. */
const ANSWER_MILLIS = LIMITS.requestMillis * 10;
/**
 * While another coordinator stands by, a request is repeated for this long, which is longer than a standby
 * waits before it takes over.
 */
const TAKEOVER_MILLIS = 10_000;
const LOOK_MILLIS = 200;
/** In a cluster, a node that has just joined may not know the coordinators of other nodes for this long. */
const UNKNOWN_MILLIS = 3000;

type Handler = (ask: unknown, person: string) => Promise<Partial<ControlReply>>;

export class NatsControl implements ControlApi {
  readonly #broker: BrokerConnection;
  readonly #person: string;

  constructor(broker: BrokerConnection, person: string) {
    this.#broker = broker;
    this.#person = person;
  }

  async ask<Verb extends ControlVerb>(
    verb: Verb,
    ask: ControlVerbs[Verb]['ask'],
  ): Promise<ControlVerbs[Verb]['answer']> {
    const bytes = requestCodec.encode(ask as Partial<ControlRequest>);
    const reply = replyCodec.decode(await this.#request(verb, bytes));
    if (reply.fault !== undefined) throw fromReply(reply.fault);
    return reply as unknown as ControlVerbs[Verb]['answer'];
  }

  /** Sends a request. If the coordinator has died and another one stands by, repeats it for a while. */
  async #request(verb: ControlVerb, bytes: Uint8Array): Promise<Uint8Array> {
    const { clock, connection } = this.#broker;
    const begunAt = clock.monotonic();
    const giveUpAt = begunAt + TAKEOVER_MILLIS;
    const knownFrom = begunAt + (connection.info?.cluster === undefined ? 0 : UNKNOWN_MILLIS);
    for (;;) {
      try {
        return await this.#requestOnce(verb, bytes);
      } catch (cause) {
        if (cause instanceof PermissionViolationError) {
          const reason = `the login ${this.#person} may not do this; see its roles: transect auth list`;
          throw new Fault('NOT_PERMITTED', reason, { value: verb }, cause);
        }
        if (!(cause instanceof RequestError || cause instanceof NoRespondersError)) throw cause;
        const mayBeUnknown = clock.monotonic() < knownFrom;
        const isAnyPresent = mayBeUnknown || (await this.#isAnyPresent());
        if (clock.monotonic() >= giveUpAt || !isAnyPresent) {
          const reason = 'no coordinator answers; start one with: transect coordinator';
          throw new Fault('NO_COORDINATOR', reason, {}, cause);
        }
        await clock.sleep(LOOK_MILLIS);
      }
    }
  }

  /** True if a coordinator runs, although none leads yet. */
  async #isAnyPresent(): Promise<boolean> {
    const options = { timeout: LIMITS.requestMillis };
    const { connection } = this.#broker;
    return await connection.request(SUBJECT.presence(this.#person), new Uint8Array(), options).then(
      () => true,
      () => false,
    );
  }

  async #requestOnce(verb: ControlVerb, bytes: Uint8Array): Promise<Uint8Array> {
    const options = { strategy: 'sentinel' as const, maxWait: ANSWER_MILLIS };
    const messages = await this.#broker.connection.requestMany(
      SUBJECT.control(this.#person, verb),
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
}

export function controlServer({ connection }: BrokerConnection): ControlServer {
  connection.subscribe(SUBJECT.PRESENCES_ALL, {
    callback: (error, message) => void (error ?? message.respond()),
  });
  return {
    serve(handlers, signal) {
      for (const verb of Object.keys(handlers) as ControlVerb[]) {
        const handler = handlers[verb] as Handler;
        const subscription = connection.subscribe(SUBJECT.controls(verb), {
          callback(error, message) {
            if (error !== null) return;
            const person = message.subject.split('.')[1] ?? '';
            answer(handler, message.data, person)
              .then((reply) => respond(message, replyCodec.encode(reply)))
              .catch(() => {}); // the connection is gone: the requester times out
          },
        });
        signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
      }
    },
  };
}

function respond(message: Msg, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; from += LIMITS.chunkOctets)
    message.respond(bytes.subarray(from, from + LIMITS.chunkOctets));
  message.respond();
}

async function answer(
  handler: Handler,
  bytes: Uint8Array,
  person: string,
): Promise<Partial<ControlReply>> {
  try {
    return await handler(requestCodec.decode(bytes), person);
  } catch (error) {
    return { fault: toReply(error) };
  }
}
