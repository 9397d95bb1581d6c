/**
 * The bus within one process, for simulation and tests: the same contract as NATS, with a given clock. Values
 * pass through their codecs, so that anything an encoding does not keep is lost here, too.
 */
import { Channel } from '../../base/channel.js';
import type { Clock } from '../../base/clock.js';
import { Fault } from '../../base/faults.js';
import type { Exclusion } from '../../survey/policy/exclusions.js';
import type { Survey } from '../../survey/survey.js';
import type { Codec } from '../codec.js';
import type { ControlApi, ControlHandlers } from '../control-api.js';
import type { Grant, Heartbeat } from '../heartbeat.js';
import type {
  Bus,
  ExclusionStore,
  GrantChannel,
  Heartbeats,
  Leader,
  LeaderStore,
  SpaceStore,
  SurveyStore,
  Versioned,
} from '../interfaces.js';
import {
  exclusionCodec,
  grantCodec,
  heartbeatCodec,
  leaderCodec,
  surveyCodec,
} from '../messages.js';
import { MemoryLeases } from './memory-leases.js';
import { MemoryResults } from './memory-results.js';
import { MemoryWork } from './memory-work.js';

export interface MemoryBus extends Bus {
  /**
   * Simulates a broker that is killed and restarted, as measured with nats-server 2.9.10: held offers are
   * delivered to others as well, and completed offers come back.
   */
  restart(): void;
  /** Simulates a broker whose host loses power: offers and batches that it had accepted are gone. */
  losePower(): void;
}

/** A bus with a broker of its own; coordinator and agents that are given the same object share the broker. */
export function memoryBus(clock: Clock): MemoryBus {
  const work = new MemoryWork(clock);
  const results = new MemoryResults();
  return {
    restart: () => work.relapse(),
    losePower: () => {
      work.lose();
      results.lose();
    },
    surveys: new MemorySurveys(),
    spaces: memorySpaces(),
    work,
    leases: new MemoryLeases(),
    results,
    heartbeats: memoryHeartbeats(),
    grants: memoryGrants(),
    control: memoryControl(),
    exclusions: memoryExclusions(),
    leader: memoryLeader(),
    disconnected: new Promise(() => {}),
    close: async () => {},
  };
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
  readonly #changes = new Topic(surveyCodec);
  #revision = 0;

  async read(id: string): Promise<Versioned<Survey> | undefined> {
    return this.#surveys.get(id);
  }

  async write(survey: Survey, revision: number): Promise<number | undefined> {
    if ((this.#surveys.get(survey.id)?.revision ?? 0) !== revision) return undefined;
    this.#surveys.set(survey.id, { value: survey, revision: ++this.#revision });
    this.#changes.publish(survey);
    return this.#revision;
  }

  async list(): Promise<readonly Versioned<Survey>[]> {
    return [...this.#surveys.values()];
  }

  watch(signal: AbortSignal): AsyncIterable<Survey> {
    const channel = this.#changes.listen(signal);
    for (const { value } of this.#surveys.values()) channel.push(value);
    return channel;
  }
}

function memorySpaces(): SpaceStore {
  const spaces = new Map<string, Uint8Array>();
  return {
    put: async (hash, bytes) => void spaces.set(hash, bytes.slice()),
    get: async (hash) => spaces.get(hash)?.slice(),
  };
}

function memoryHeartbeats(): Heartbeats {
  const topic = new Topic<Heartbeat>(heartbeatCodec);
  return {
    publish: (heartbeat) => topic.publish(heartbeat),
    subscribe: (signal) => topic.listen(signal),
  };
}

function memoryGrants(): GrantChannel {
  const topic = new Topic<Grant>(grantCodec);
  return {
    publish: (grant) => topic.publish(grant),
    async *subscribe(agent, signal) {
      for await (const grant of topic.listen(signal)) if (grant.agent === agent) yield grant;
    },
  };
}

function memoryControl(): ControlApi {
  // The last one answers; when it stops, the one before it does again.
  let served: readonly ControlHandlers[] = [];
  return {
    async ask(verb, ask) {
      const handlers = served.at(-1);
      if (handlers === undefined) throw new Fault('NO_COORDINATOR', 'no coordinator answers');
      return await handlers[verb](ask);
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
