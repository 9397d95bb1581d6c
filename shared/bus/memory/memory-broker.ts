/**
 * The bus within one process, for simulation and tests: the same contract as NATS. Values pass through their
 * codecs, so that anything an encoding does not keep is lost here, too.
 */
import { Channel } from '../../base/channel.js';
import { Fault } from '../../base/faults.js';
import type { Exclusion } from '../../survey/policy/exclusions.js';
import type { Survey } from '../../survey/survey.js';
import type { AgentHandlers, AgentServer, CoordinatorClient } from '../agent-api.js';
import {
  type AgentRequest,
  agentReplyCodec,
  agentRequestCodec,
  announcementCodec,
} from '../agent-messages.js';
import type { Codec } from '../codec.js';
import type { ControlApi, ControlHandlers, ControlServer } from '../control-api.js';
import type {
  AgentBus,
  ControlBus,
  CoordinatorBus,
  ExclusionStore,
  Leader,
  LeaderStore,
  SpaceStore,
  SurveyStore,
  Versioned,
} from '../interfaces.js';
import { exclusionCodec, leaderCodec, surveyCodec } from '../messages.js';
import { MemoryLeases } from './memory-leases.js';
import { MemoryReplication } from './memory-replication.js';
import { MemoryResults } from './memory-results.js';

/** A broker in memory, as each of its clients sees it. */
export interface MemoryBroker {
  readonly coordinator: CoordinatorBus;
  readonly people: ControlBus;
  agent(name: string): AgentBus;
  /** Simulates a broker whose host loses power: batches that it had accepted are gone. */
  losePower(): void;
}

export function memoryBroker(): MemoryBroker {
  const results = new MemoryResults();
  const agents = new MemoryAgentApi();
  const control = memoryControl();
  const replication = new MemoryReplication();
  const connection = { disconnected: new Promise<Error>(() => {}), close: async () => {} };
  return {
    coordinator: {
      ...connection,
      agents,
      people: control,
      enrolments: { serve: () => {} },
      results,
      surveys: new MemorySurveys(),
      spaces: memorySpaces(),
      leases: new MemoryLeases(),
      exclusions: memoryExclusions(),
      leader: memoryLeader(),
      openReplication: async () => replication,
      isReplicated: async () => (await replication.state()).last > 0,
    },
    people: { ...connection, control },
    agent: (name) => ({
      ...connection,
      coordinator: agents.client(name),
      results,
      announcements: (signal) => agents.announcements(signal),
    }),
    losePower: () => results.lose(),
  };
}

/** Requests of agents, which the coordinator that served last answers. */
class MemoryAgentApi implements AgentServer {
  readonly #handlers: AgentHandlers[] = [];
  readonly #announced = new Topic(announcementCodec);

  serve(handlers: AgentHandlers, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#handlers.push(handlers);
    signal.addEventListener('abort', () => {
      this.#handlers.splice(this.#handlers.indexOf(handlers), 1);
    });
  }

  announce(survey: string): void {
    this.#announced.publish({ survey });
  }

  async *announcements(signal: AbortSignal): AsyncGenerator<string> {
    for await (const { survey } of this.#announced.listen(signal)) yield survey;
  }

  client(agent: string): CoordinatorClient {
    return {
      ask: async (verb, given) => {
        const handlers = this.#handlers.at(-1);
        if (handlers === undefined) throw new Fault('NO_COORDINATOR', 'no coordinator answers');
        const received = agentRequestCodec.decode(
          agentRequestCodec.encode(given as Partial<AgentRequest>),
        );
        const handler = handlers[verb] as (agent: string, ask: unknown) => Promise<object>;
        const answer = await handler(agent, received);
        return agentReplyCodec.decode(agentReplyCodec.encode(answer)) as never;
      },
    };
  }
}

/** Delivers to all current listeners, as core NATS does. */
class Topic<Value> {
  readonly #listeners = new Set<Channel<Value>>();
  readonly #codec: Codec<Value>;

  constructor(codec: Codec<Value>) {
    this.#codec = codec;
  }

  publish(value: Value): void {
    const bytes = this.#codec.encode(value);
    for (const listener of this.#listeners) listener.push(this.#codec.decode(bytes));
  }

  /** Listens from the call on, not from the first iteration on. */
  listen(signal: AbortSignal): Channel<Value> {
    const channel = new Channel<Value>(signal);
    this.#listeners.add(channel);
    signal.addEventListener('abort', () => this.#listeners.delete(channel), { once: true });
    return channel;
  }
}

class MemorySurveys implements SurveyStore {
  readonly #surveys = new Map<string, Versioned<Survey>>();
  #revision = 0;

  async read(id: string): Promise<Versioned<Survey> | undefined> {
    return this.#surveys.get(id);
  }

  async write(survey: Survey, revision: number): Promise<number | undefined> {
    if ((this.#surveys.get(survey.id)?.revision ?? 0) !== revision) return undefined;
    const value = surveyCodec.decode(surveyCodec.encode(survey));
    this.#surveys.set(survey.id, { value, revision: ++this.#revision });
    return this.#revision;
  }

  async list(): Promise<readonly Versioned<Survey>[]> {
    return [...this.#surveys.values()];
  }
}

function memorySpaces(): SpaceStore {
  const spaces = new Map<string, Uint8Array>();
  return {
    put: async (hash, bytes) => void spaces.set(hash, bytes.slice()),
    get: async (hash) => spaces.get(hash)?.slice(),
  };
}

function memoryControl(): ControlApi & ControlServer {
  // The last one answers; when it stops, the one before it does again.
  let served: readonly ControlHandlers[] = [];
  return {
    async ask(verb, ask) {
      const handlers = served.at(-1);
      if (handlers === undefined) throw new Fault('NO_COORDINATOR', 'no coordinator answers');
      return await handlers[verb](ask, 'anyone');
    },
    serve(given, signal) {
      if (signal.aborted) return;
      served = [...served, given];
      signal.addEventListener('abort', () => {
        served = served.filter((each) => each !== given);
      });
    },
  };
}

function memoryExclusions(): ExclusionStore {
  const entries = new Map<number, Exclusion>();
  const changes = new Topic(exclusionCodec);
  return {
    async add(entry) {
      if (entries.has(entry.version)) return false;
      entries.set(entry.version, entry);
      changes.publish(entry);
      return true;
    },
    async replace(entry) {
      entries.set(entry.version, entry);
      changes.publish(entry);
    },
    list: async () => [...entries.values()],
    watch(signal) {
      const channel = changes.listen(signal);
      for (const entry of entries.values()) channel.push(entry);
      return channel;
    },
  };
}

function memoryLeader(): LeaderStore {
  let held: Versioned<Leader> | undefined;
  return {
    read: async () => held,
    async write(leader, revision) {
      if ((held?.revision ?? 0) !== revision) return undefined;
      held = { value: leaderCodec.decode(leaderCodec.encode(leader)), revision: revision + 1 };
      return held.revision;
    },
  };
}
