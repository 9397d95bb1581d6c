/**
 * One run of the simulation: the faults of a survey are drawn from a seed, and its results are checked by the
 * oracle. A seed that fails always fails in the same way.
 *     TRANSECT_SEED=4711 npm run simulate
 */

import type { Pps } from '../../shared/base/brand.js';
import { PROTOCOL } from '../../shared/base/version.js';
import type { Heartbeat, ShardReport } from '../../shared/bus/heartbeat.js';
import { emptyColumns, type ResultBatch } from '../../shared/survey/results.js';
import type { Survey } from '../../shared/survey/survey.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { prng } from '../support/prng.js';
import { pushRow } from '../support/tcp-syn-set.js';
import { type Budget, breaches, excess } from './oracle.js';
import { type AgentHost, FIRST_ADDRESS, World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
const FAULTS_MAX = 9;
/** No request to the coordinator arrives later than this. */
const LATE_REQUEST_MILLIS = 15_000;
/** Faults start within this time after the launch; some surveys end earlier. */
const UNREST_MILLIS = 9000;

export interface Outcome {
  readonly seed: number;
  readonly breaches: readonly string[];
  /** Events, in order. */
  readonly events: readonly string[];
  readonly targets: number;
  readonly probes: number;
  /** Virtual milliseconds. */
  readonly took: number;
}

export async function simulate(seed: number): Promise<Outcome> {
  const roll = prng(seed ^ 0x5eed); // separate from the world's generator
  const draw = (from: number, to: number) => from + Math.floor(roll() * (to - from));
  const isLossy = draw(0, 3) > 0;
  const network = isLossy ? { delay: draw(0, 120), loss: draw(0, 8) / 100 } : { delay: 0, loss: 0 };
  const world = new World(seed, network, { replicates: seed % 3 === 0 });
  const faultPlan = new FaultPlan(world);
  for (let i = draw(1, 3); i > 0; i--) world.startCoordinator();
  for (let i = draw(1, 5); i > 0; i--) world.join();
  const addresses = draw(150, 1500);
  const rate = draw(200, 3000) as Pps;
  const rows = roll() < 0.5 ? 'all' : 'successes';
  const probesPerTarget = draw(0, 3) > 0 ? 1 : draw(2, 4);
  const prohibiting = draw(0, 8) > 0 ? 0 : draw(1, 4);
  for (let i = 0; i < prohibiting; i++) {
    world.internet.prohibiting.add((FIRST_ADDRESS >>> 8) + draw(0, 6));
  }
  try {
    const crossCheckInterval = seed % 5 === 0 ? 1 + (seed % 7) : 0;
    const request = { addresses, rate, probesPerTarget, crossCheckInterval };
    const launching = world.launch({ ...request, rows });
    const survey = await world.clock.runUntil(launching, LIMIT_MILLIS);
    faultPlan.begin(survey, addresses);
    for (let fault = draw(0, FAULTS_MAX + 1); fault > 0; fault--)
      faultPlan.plot(draw(10, UNREST_MILLIS));
    const ended = await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
    const found = await world.clock.runUntil(faultPlan.oracle(ended), LIMIT_MILLIS);
    return faultPlan.outcome(
      seed,
      ended.state === 'done' ? found : [`ended ${ended.state}`, ...found],
    );
  } catch (error) {
    return faultPlan.outcome(seed, [String(error)]);
  } finally {
    world.close();
  }
}

class FaultPlan {
  readonly #world: World;
  readonly #events: string[] = [];
  readonly #budgets: Budget[] = [];
  /** Rates of requests that are not answered yet. */
  readonly #jobs = new Set<{ readonly rate: number }>();
  readonly #withoutReplies = new Set<string>();
  /** Addresses [from, to) that were excluded, and when. */
  readonly #exclusions: { from: number; to: number; at: number }[] = [];
  #survey: Survey | undefined;
  #addresses = 0;

  constructor(world: World) {
    this.#world = world;
  }

  begin(survey: Survey, addresses: number): void {
    this.#survey = survey;
    this.#addresses = addresses;
    this.#budgets.push({ from: 0, rate: survey.rate });
  }

  /** Schedules an event in `at` milliseconds; its kind is drawn now, the rest when it happens. */
  plot(at: number): void {
    const kinds = Object.entries(this.#faults());
    const [name, fault] = kinds[this.#world.draw(0, kinds.length)] as [string, () => string];
    this.#world.later(at, () => {
      this.#events.push(`${Math.round(this.#world.clock.monotonic())} ms: ${name} ${fault()}`);
    });
  }

  async oracle(survey: Survey): Promise<string[]> {
    const world = this.#world;
    const excluded = (address: number) =>
      this.#exclusions.some(({ from, to }) => from <= address && address < to);
    const found = await breaches(world, survey, { excluded, muted: this.#withoutReplies });
    const over = excess(world, this.#budgets);
    if (over > 0) found.push(`${over} probes above the budget in one second`);
    for (const { from, to, at } of this.#exclusions) {
      const late = world.internet.shots.filter(
        (shot) => from <= shot.address && shot.address < to && shot.at > at + 3050,
      );
      if (late.length > 0) found.push(`${late.length} probes to what was excluded`);
    }
    return found;
  }

  outcome(seed: number, found: readonly string[]): Outcome {
    const { internet, clock } = this.#world;
    const targets = 2 * this.#addresses;
    const took = clock.monotonic();
    return {
      seed,
      breaches: found,
      events: this.#events,
      targets,
      probes: internet.shots.length,
      took,
    };
  }

  /** All kinds of events. */
  #faults(): Record<string, () => string> {
    const world = this.#world;
    const draw = world.draw.bind(world);
    const anyAgent = () => world.agents[draw(0, world.agents.length)] as AgentHost;
    const anyHost = () => {
      const hosts = [...world.agents, ...world.coordinators];
      return (hosts[draw(0, hosts.length)] as { host: AgentHost['host'] }).host;
    };
    const forAWhile = (begin: () => void, end: () => void, from: number, to: number) => {
      const millis = draw(from, to);
      begin();
      world.later(millis, end);
      return `for ${millis} ms`;
    };
    return {
      'an agent dies': () => {
        const { host, name } = anyAgent();
        host.die();
        world.join();
        return name;
      },
      'an agent leaves': () => {
        const agent = anyAgent();
        agent.leave();
        world.join();
        return agent.name;
      },
      'an agent joins': () => world.join(draw(0, 2) * draw(20, 300)).name,
      'a host dies at a call': () => {
        const host = anyHost();
        host.crashAt = host.calls + draw(1, 40);
        host.crashesAfter = draw(0, 2) === 0;
        world.later(20_000, () => {
          host.die();
          world.startCoordinator();
          world.join();
        });
        return `${host.crashAt - host.calls} from now`;
      },
      'the coordinators die': () => {
        for (const { host } of world.coordinators) host.die();
        world.later(draw(0, 4000), () => void world.startCoordinator());
        return '';
      },
      'another coordinator stands by': () => {
        world.startCoordinator();
        return '';
      },
      'a host is cut off': () => {
        const host = anyHost();
        const set = (isCut: boolean) => Object.assign(host, { isOutCut: isCut, isInCut: isCut });
        return forAWhile(
          () => set(true),
          () => set(false),
          200,
          9000,
        );
      },
      'a host cannot send to the broker': () => {
        const host = anyHost();
        const set = (isOutCut: boolean) => Object.assign(host, { isOutCut });
        return forAWhile(
          () => set(true),
          () => set(false),
          200,
          9000,
        );
      },
      'a host receives nothing from the broker': () => {
        const host = anyHost();
        const set = (isInCut: boolean) => Object.assign(host, { isInCut });
        return forAWhile(
          () => set(true),
          () => set(false),
          200,
          9000,
        );
      },
      'a host stands still': () => {
        const host = anyHost();
        const set = (isFrozen: boolean) => Object.assign(host, { isFrozen });
        return forAWhile(
          () => set(true),
          () => set(false),
          100,
          9000,
        );
      },
      'a wall clock jumps': () => {
        anyHost().skew += draw(-7_200_000, 7_200_000);
        return '';
      },
      'a network goes down': () => {
        const { link } = anyAgent();
        const set = (isDown: boolean) =>
          Object.assign(link, { isDown, downs: link.downs + Number(isDown) });
        return forAWhile(
          () => set(true),
          () => set(false),
          150,
          4000,
        );
      },
      'the broker restarts': () => {
        world.restartBroker();
        return '';
      },
      'the broker loses power': () => {
        world.broker.losePower();
        return '';
      },
      'the disk is slow': () => {
        const millis = draw(10, 900);
        const set = (slow: number) => {
          for (const { host } of world.coordinators) host.diskMillis = slow;
        };
        return forAWhile(
          () => set(millis),
          () => set(0),
          500,
          6000,
        );
      },
      'the disk is full': () => {
        const { disk } = world;
        const set = (isFull: boolean) => Object.assign(disk, { isFull });
        return forAWhile(
          () => set(true),
          () => set(false),
          200,
          5000,
        );
      },
      'the rate changes': () => {
        const rate = draw(200, 3000);
        void this.#steer(rate, () => this.#ask('rate', rate));
        return `to ${rate}`;
      },
      'the survey is paused': () => {
        const millis = draw(100, 5000);
        void this.#steer(0, () => this.#ask('pause'))
          .then(() => world.clock.sleep(millis))
          .then(() => this.#steer(3000, () => this.#ask('resume')))
          // A request to pause that timed out and was repeated may arrive after the resume.
          .then(() => world.clock.sleep(LATE_REQUEST_MILLIS))
          .then(() => this.#steer(3000, () => this.#ask('resume')));
        return `for ${millis} ms`;
      },
      'a range is excluded': () => {
        const from = FIRST_ADDRESS + draw(0, this.#addresses);
        void this.#exclude(from, from + draw(1, 64));
        return '';
      },
      'an agent stops receiving replies': () => {
        const agent = anyAgent();
        agent.link.hasLostNetwork = true;
        this.#withoutReplies.add(agent.name);
        world.later(12_000, () => Object.assign(agent.link, { hasLostNetwork: false }));
        return agent.name;
      },
      'a liar speaks': () => this.#lie(),
    };
  }

  /**
   * The budget counts as raised as soon as a request is made, and as lowered only when no request for more is
   * in progress: requests may overtake each other, so the last one need not be the one in force.
   */
  async #steer(rate: number, order: () => Promise<unknown>): Promise<void> {
    const { clock, broker } = this.#world;
    const allow = (least: number) => {
      const most = Math.max(least, ...this.#underWay);
      this.#budgets.push({ from: clock.monotonic(), rate: most });
    };
    const asked = { rate };
    this.#jobs.add(asked);
    allow(this.#budgets.at(-1)?.rate ?? 0);
    await order();
    this.#jobs.delete(asked);
    const survey = (await broker.coordinator.surveys.read(this.#survey?.id ?? ''))?.value;
    allow(survey?.state === 'running' ? survey.rate : 0);
  }

  get #underWay(): number[] {
    return [...this.#jobs].map(({ rate }) => rate);
  }

  async #ask(verb: 'rate' | 'pause' | 'resume', rate = 0): Promise<unknown> {
    const survey = this.#survey?.id ?? '';
    const { control } = this.#world.broker.people;
    return await this.#world.withRetry(async () => {
      const { statuses } = await control.ask('status', { survey });
      if (statuses.some(({ state }) => state === 'done')) return;
      if (verb === 'rate') await control.ask('rate', { survey, rate });
      else await control.ask(verb, { survey });
    });
  }

  async #exclude(from: number, to: number): Promise<void> {
    const text = (address: number) =>
      [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join('.');
    const prefix = `${text(from)}-${text(to - 1)}`;
    const entered = { from, to, at: Number.POSITIVE_INFINITY };
    this.#exclusions.push(entered);
    const ask = { prefix, reason: 'asked to', by: 'someone' };
    await this.#world.withRetry(() => this.#world.broker.people.control.ask('exclude', ask));
    entered.at = this.#world.clock.monotonic();
  }

  /** Publishes malicious batches and heartbeats, under an agent name of its own. */
  #lie(): string {
    const liar = this.#world.broker.agent('liar');
    const survey = this.#survey?.id ?? '';
    const draw = this.#world.draw.bind(this.#world);
    for (let i = draw(1, 30); i > 0; i--) {
      const columns = emptyColumns();
      for (let row = draw(1, 5); row > 0; row--) {
        pushRow(columns, draw(0, 300));
        columns.classification[columns.classification.length - 1] = 1;
      }
      const head = { survey, shard: draw(0, 70), epoch: draw(1, 4), serial: draw(0, 3) };
      const batch: ResultBatch = {
        ...head,
        agent: 'liar',
        vantage: 'nowhere',
        timestamp: 1,
        columns,
      };
      void liar.results.publish(batch, new Uint8Array(16));
      const heartbeat = boast(survey, draw, this.#world.clock.monotonic() + i);
      void liar.coordinator.ask('heartbeat', { heartbeat }).catch(() => {}); // refused, as it should be
    }
    return '';
  }
}

/** The heartbeat of an agent with arbitrary claims, about shards that it may hold, and others. */
function boast(survey: string, draw: World['draw'], sentAt: number): Heartbeat {
  const any = () => draw(0, 2) * draw(0, 1_000_000);
  const received = { framesReceived: any(), framesDropped: any(), interfaceDropped: any() };
  const ioStats = { transmit: 'none', sendErrors: { EPERM: any() }, ...received };
  const claims = { hasWork: draw(0, 2) === 1, rate: any(), probesSent: any(), replies: any() };
  const shards = Array.from({ length: draw(0, 8) }, (): ShardReport => {
    const settledUpTo = any();
    const progress = {
      settledUpTo,
      sentUpTo: settledUpTo + any(),
      probesSent: any(),
      batches: draw(0, 3),
      replies: { synack: any() },
      versionSpans: [],
      ...noneUnsent(),
    };
    const state = (['held', 'released', 'settled'] as const)[draw(0, 3)] ?? 'held';
    const named = { shard: draw(0, 70), epoch: draw(1, 4), state };
    return { ...named, progress, icmpLimited: [], slowedNetworks: [] };
  });
  const activity = {
    survey,
    ioStats,
    grantSerial: any(),
    ceiling: any(),
    exclusionsVersion: any(),
    otherPort: any(),
    otherAddress: any(),
    rulesHash: '',
    wanted: draw(0, 2) * draw(0, 4),
    shards,
    ...claims,
  };
  const head = { vantage: 'nowhere', version: 'lies', protocol: PROTOCOL, session: 'liar' };
  const state = {
    state: 'working' as const,
    problem: '',
    problemCode: '',
    wantsSignature: false,
    invalid: any(),
  };
  return { ...head, ...state, sentAt, known: [], activities: [activity] };
}

/** One line for the seed and its violations, then one for each event. */
export function tell({ seed, breaches: found, events }: Outcome): string {
  return [`seed ${seed}: ${found.join('; ')}`, ...events.map((event) => `    ${event}`)].join('\n');
}
