/** The agent API over core NATS request and reply. Every answer fits into one message. */
import { type Msg, NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node';
import { describeError, Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import type {
  AgentHandlers,
  AgentServer,
  AgentVerb,
  AgentVerbs,
  CoordinatorClient,
} from '../agent-api.js';
import {
  type AgentReply,
  type AgentRequest,
  agentReplyCodec,
  agentRequestCodec,
  announcementCodec,
} from '../agent-messages.js';
import type { BrokerConnection } from './connection.js';
import { fromReply, toReply } from './faults.js';
import { SUBJECT } from './subjects.js';
import { listen } from './subscribe.js';

const VERBS = ['heartbeat', 'space', 'rules', 'exclusions'] as const satisfies AgentVerb[];

export function coordinatorClient(broker: BrokerConnection, agent: string): CoordinatorClient {
  return {
    async ask(verb, ask) {
      const bytes = agentRequestCodec.encode(ask as Partial<AgentRequest>);
      const reply = await request(broker, SUBJECT.agent(agent, verb), bytes);
      if (reply.fault !== undefined) throw fromReply(reply.fault);
      if (verb === 'heartbeat' && (reply.heartbeat ?? reply.signed) === undefined)
        throw new Fault('BAD_MESSAGE', 'malformed message from the broker: AgentReply.heartbeat');
      return reply as AgentVerbs[typeof verb]['answer'];
    },
  };
}

/** @throws Fault NO_COORDINATOR or BAD_MESSAGE */
async function request(
  { connection }: BrokerConnection,
  subject: string,
  bytes: Uint8Array,
): Promise<Partial<AgentReply>> {
  try {
    const { data } = await connection.request(subject, bytes, { timeout: LIMITS.requestMillis });
    return agentReplyCodec.decode(data);
  } catch (cause) {
    const isSilence =
      cause instanceof NoRespondersError ||
      cause instanceof TimeoutError ||
      cause instanceof RequestError;
    if (!isSilence) throw cause;
    throw new Fault(
      'NO_COORDINATOR',
      `no coordinator answers (${describeError(cause)})`,
      {},
      cause,
    );
  }
}

/** The ids of announced surveys; empty for all. */
export async function* announcements(
  broker: BrokerConnection,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const subjectOf = ({ survey }: { survey: string }) => SUBJECT.announce(survey);
  const wanted = { subject: SUBJECT.ANNOUNCEMENTS_ALL, codec: announcementCodec, subjectOf };
  for await (const { survey } of listen(broker, wanted, signal)) yield survey;
}

export function agentServer(broker: BrokerConnection): AgentServer {
  const { connection } = broker;
  return {
    announce(survey) {
      connection.publish(SUBJECT.announce(survey), announcementCodec.encode({ survey }));
    },
    serve(handlers, signal) {
      for (const verb of VERBS) {
        const subscription = connection.subscribe(SUBJECT.agents(verb), {
          callback(error, message) {
            if (error === null) void answer(handlers, verb, message);
          },
        });
        signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
        if (signal.aborted) subscription.unsubscribe();
      }
    },
  };
}

/** Answers a request. The name of the agent is part of the subject, for which the broker grants permissions. */
async function answer(handlers: AgentHandlers, verb: AgentVerb, message: Msg): Promise<void> {
  const agent = message.subject.split('.')[1] ?? '';
  const reply = await replyTo(handlers, verb, agent, message.data);
  try {
    message.respond(agentReplyCodec.encode(reply));
  } catch {
    // The connection is gone: the agent asks again.
  }
}

async function replyTo(
  handlers: AgentHandlers,
  verb: AgentVerb,
  agent: string,
  bytes: Uint8Array,
): Promise<Partial<AgentReply>> {
  try {
    const ask: Partial<AgentRequest> = agentRequestCodec.decode(bytes);
    if (verb === 'heartbeat' && ask.heartbeat === undefined)
      throw new Fault('BAD_MESSAGE', 'the heartbeat is missing');
    const handler = handlers[verb] as (agent: string, ask: unknown) => Promise<object>;
    return await handler(agent, ask);
  } catch (error) {
    return { fault: toReply(error) };
  }
}
