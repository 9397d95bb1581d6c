/**
 * The world of a simulation, in virtual time: the real coordinators and the real agents on hosts of their
 * own, and a broker, disks and a network in memory. Everything follows from one seed.
 */

import { Agent } from '../../agent/agent.js';
import { NO_POLICY } from '../../agent/policy/host-policy.js';
import { Coordinator } from '../../coordinator/coordinator.js';
import { isReplicated } from '../../coordinator/data-folder.js';
import { runElection } from '../../coordinator/leader-election.js';
import { persistentTerms } from '../../coordinator/persistent-terms.js';
import { Replica } from '../../coordinator/replication/replica.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import type { Clock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';
import type { CoordinatorBus } from '../../shared/bus/interfaces.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import { newNkey, signerOf } from '../../shared/bus/nats/nkeys.js';
import type { Disk } from '../../shared/host/disk.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import { hashSpace, spaceFromBytes, spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import { isOver, type Survey, type SurveyRequest } from '../../shared/survey/survey.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { prng } from '../support/prng.js';
import { limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';
import { FakeNetwork, type Link } from './fake-network.js';
import { Host } from './host.js';
import { VirtualClock } from './virtual-clock.js';

export const COOLDOWN = 2000 as Millis;
export const DATA = '/data';
/** A request fails after this time if the coordinator dies while handling it. */
const ANSWER_MILLIS = 5000;
const RESTART_MILLIS = 300;
/** Of the secret that all data folders have. */
const FINGERPRINT = '5e';
export const FIRST_ADDRESS = 0x7f4d0000;

/** Faults of the network between hosts and the broker. */
export interface NetworkConditions {
  readonly delay: number;
  readonly loss: number;
}

export interface AgentHost {
  readonly name: string;
  readonly host: Host;
  readonly link: Link;
  readonly working: Agent;
  leave(): void;
}

export interface CoordinatorHost {
  readonly host: Host;
  /** Its storage: the disk that all coordinators share, or one of its own, which dies with it. */
  readonly disk: MemoryDisk;
  /** Undefined unless it leads. */
  leading: Coordinator | undefined;
}

export class World {
  readonly clock = new VirtualClock();
  readonly broker = memoryBroker();
  readonly internet: FakeNetwork;
  readonly coordinators: CoordinatorHost[] = [];
  readonly agents: AgentHost[] = [];
  /** Public nkeys, by name. */
  readonly agentKeys = new Map<string, string>();
  readonly roll: () => number;
  readonly #network: NetworkConditions;
  readonly #over = stopController();
  readonly #replicates: boolean;
  #disk = new MemoryDisk();

  /** @param replicates true if each coordinator has a disk of its own, and copies what the leader stores */
  constructor(
    seed: number,
    network: NetworkConditions = { delay: 0, loss: 0 },
    { replicates = false } = {},
  ) {
    this.roll = prng(seed);
    this.#network = network;
    this.#replicates = replicates;
    this.internet = new FakeNetwork(this.clock, seed);
  }

  /** The disk of the coordinator that led last. */
  get disk(): MemoryDisk {
    return this.#disk;
  }

  /** An integer in [from, to). */
  draw(from: number, to: number): number {
    return from + Math.floor(this.roll() * (to - from));
  }

  /** Schedules an event. */
  later(millis: number, event: () => void): void {
    void this.clock.sleep(millis).then(event);
  }

  /** Starts a coordinator, which leads or stands by. */
  startCoordinator(): CoordinatorHost {
    const host = this.#host();
    const files = this.#replicates ? diskWithSecret() : this.#disk;
    const started: CoordinatorHost = { host, disk: files, leading: undefined };
    this.coordinators.push(started);
    const { clock } = host;
    const bus = host.coordinatorBus(this.broker);
    const disk = host.disk(files);
    const random = {
      bytes: (length: number) => Uint8Array.from({ length }, () => this.roll() * 256),
    };
    const deps = { bus, clock, random, log: silentLog };
    const terms = persistentTerms(DATA, disk, silentLog);
    const election = { leader: bus.leader, clock, log: silentLog, terms };
    const id = `coordinator-${this.coordinators.length}`;
    const work = async (term: number, through: Disk, signal: AbortSignal) => {
      this.#disk = files;
      started.leading = new Coordinator(
        { data: DATA, version: 'test', term },
        { ...deps, disk: through },
      );
      await started.leading.run(signal);
      started.leading = undefined;
    };
    const begin = async () => {
      const replica = this.#replicates ? await replicaOf(bus, { disk, clock }) : undefined;
      void replica?.follow(this.#over.signal);
      const { signal: over } = this.#over;
      await runElection(id, election, over, async (term, signal) => {
        if (replica === undefined) await work(term, disk, signal);
        else await replica.lead(term, (through) => work(term, through, signal));
      });
    };
    void begin();
    return started;
  }

  /** The broker restarts: for a moment, nobody reaches it, and what was on its way is lost. */
  restartBroker(): void {
    const hosts = [...this.coordinators, ...this.agents].map(({ host }) => host);
    const set = (isCut: boolean) => {
      for (const host of hosts) Object.assign(host, { isOutCut: isCut, isInCut: isCut });
    };
    set(true);
    this.later(RESTART_MILLIS, () => set(false));
  }

  /** Starts an agent. */
  join(ceiling = 0): AgentHost {
    const host = this.#host();
    const leaving = stopController();
    const link = { isDown: false, downs: 0, hasLostNetwork: false };
    const name = `agent-${this.agents.length + 1}`;
    const session = `session-${this.agents.length + 1}`;
    const options = { agent: name, session, vantage: name, version: 'test', ceiling };
    const openNetworkIo = this.internet.networkIo(host, link, name);
    const bus = host.agentBus(this.broker, name);
    const { seed, key } = newNkey();
    this.agentKeys.set(name, key);
    const own = { policy: NO_POLICY, sign: signerOf(seed) };
    const deps = { bus, clock: host.clock, log: silentLog, openNetworkIo, ...own };
    const working = new Agent(options, deps);
    void working.run(leaving.signal);
    const agent = { name, host, link, working, leave: () => leaving.abort() };
    this.agents.push(agent);
    return agent;
  }

  async launch(
    request: Partial<SurveyRequest> & { addresses: number; rate: Pps },
  ): Promise<Survey> {
    const { addresses, ...given } = request;
    const ranges = Ranges.of([{ from: FIRST_ADDRESS, to: FIRST_ADDRESS + addresses }]);
    const space = Space.ofIpv4(ranges, [80, 443] as ProbePort[]);
    const bytes = spaceToBytes(space, '7');
    const spaceHash = hashSpace(bytes);
    await this.broker.coordinator.spaces.put(spaceHash, bytes);
    const complete: SurveyRequest = {
      name: 'simulated',
      probes: TCP_SYN,
      probesPerTarget: 1,
      aliasLengths: [],
      crossCheckInterval: 0,
      limits: limitsOf(space),
      cooldown: COOLDOWN,
      seed: '7',
      rows: 'all',
      segmentFormat: 'ndjson',
      contact: '',
      purpose: '',
      allowSpecial: ['127.0.0.0/8'],
      authorization: '',
      signature: '',
      spaceHash,
      rulesHash: spaceHash,
      ...given,
    };
    const survey = await this.withRetry(() =>
      this.broker.people.control.ask('launch', { request: complete }),
    );
    const launched = (await this.broker.coordinator.surveys.read(survey.survey))?.value;
    if (launched === undefined) throw new Error('the survey is not on the board');
    return launched;
  }

  /** Asks again until a coordinator answers, as an operator would. */
  async withRetry<Result>(work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await Promise.race([work(), this.#timeout()]);
      } catch {
        await this.clock.sleep(200);
      }
    }
  }

  async #timeout(): Promise<never> {
    await this.clock.sleep(ANSWER_MILLIS);
    throw new Error('nobody answers');
  }

  /** Waits until the survey is over, whichever coordinator leads it by then. */
  async ended(id: string): Promise<Survey> {
    for (;;) {
      const survey = (await this.broker.coordinator.surveys.read(id))?.value;
      if (survey !== undefined && isOver(survey.state)) return survey;
      await this.clock.sleep(100);
    }
  }

  async planOf({ spaceHash, seed, shardLength, limits }: Survey): Promise<Plan> {
    const bytes = await this.broker.coordinator.spaces.get(spaceHash);
    return new Plan(
      spaceFromBytes(bytes ?? new Uint8Array()),
      seed,
      shardLength,
      limits.maxTargets,
    );
  }

  close(): void {
    this.#over.abort();
    for (const { host } of [...this.coordinators, ...this.agents]) host.die();
  }

  #host(): Host {
    const { clock, roll } = this;
    return new Host({ clock, roll, ...this.#network, origin: this.draw(1, 1_000_000) });
  }
}

/** The disk of a host to which the operator has copied the secret of the data folder. */
function diskWithSecret(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.files.set(`${DATA}/.cookie-secret`, Buffer.from(`${'5e'.repeat(32)}\n`));
  return disk;
}

async function replicaOf(
  bus: CoordinatorBus,
  deps: { readonly disk: Disk; readonly clock: Clock },
): Promise<Replica> {
  const replication = await bus.openReplication();
  const secret = { fingerprint: async () => FINGERPRINT, make: async () => FINGERPRINT };
  const options = { data: DATA, isReplicated, secret };
  const replica = new Replica(options, { ...deps, replication, log: silentLog });
  await replica.catchUp();
  return replica;
}
