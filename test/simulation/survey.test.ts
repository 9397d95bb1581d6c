/**
 * Whole surveys in virtual time: the real coordinator and the real agents on a bus, a disk and a
 * network in memory. What is drawn from the seed: sizes, rates, when agents join, leave and die. After
 * each run the invariants are checked against the truth about every target.
 */

import { describe, expect, test } from 'vitest';
import { Agent } from '../../agent/agent.js';
import { Coordinator } from '../../coordinator/coordinator.js';
import { sinkNamed } from '../../coordinator/sink/catalogue.js';
import { FIELDS } from '../../coordinator/sink/row.js';
import { rowsOf } from '../../coordinator/sink/segments.js';
import type { SurveyRun } from '../../coordinator/survey-run.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { stopController } from '../../shared/base/stop.js';
import { memoryBus } from '../../shared/bus/memory/memory-bus.js';
import type { Bus } from '../../shared/bus/ports.js';
import { formatIpv4 } from '../../shared/net/address.js';
import type { Port } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { CLASSIFICATION, CLASSIFICATION_NAMES } from '../../shared/probe/classification.js';
import { Space } from '../../shared/survey/space/space.js';
import { hashSpace, spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import type { SurveyStatus } from '../../shared/survey/status.js';
import { isOver, type SurveyRequest } from '../../shared/survey/survey.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { dice } from '../support/dice.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { PretendInternet } from './pretend-internet.js';
import { VirtualClock } from './virtual-clock.js';

const COOLDOWN = 2000 as Millis;
const LIMIT_MILLIS = 3_600_000;
const SEEDS = Number(process.env['TRANSECT_SEEDS'] ?? 60);

/** A port that swallows every call once its owner is dead. */
function mortalPart<Part extends object>(part: Part, dead: AbortSignal): Part {
  return new Proxy(part, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) =>
        dead.aborted
          ? new Promise(() => {})
          : (member as (...a: unknown[]) => unknown).apply(target, args);
    },
  });
}

function mortal(bus: Bus, dead: AbortSignal): Bus {
  const work = {
    offer: bus.work.offer.bind(bus.work),
    async next(waitMillis: number, signal: AbortSignal) {
      const offer = await bus.work.next(waitMillis, signal);
      return offer && mortalPart(offer, dead);
    },
  };
  return {
    ...bus,
    surveys: mortalPart(bus.surveys, dead),
    work: mortalPart(work, dead),
    leases: mortalPart(bus.leases, dead),
    results: mortalPart(bus.results, dead),
    rollCall: mortalPart(bus.rollCall, dead),
    rates: mortalPart(bus.rates, dead),
  };
}

class World {
  readonly clock = new VirtualClock();
  readonly bus = memoryBus(this.clock);
  readonly disk = new MemoryDisk();
  readonly internet: PretendInternet;
  coordinator: Coordinator;
  stop = stopController();
  readonly #roll: () => number;
  #agents = 0;

  constructor(seed: number) {
    this.#roll = dice(seed);
    this.internet = new PretendInternet(this.clock, seed);
    this.coordinator = this.#startCoordinator();
  }

  /** The coordinator dies where it stands; another takes up what it left. */
  replaceCoordinator(): void {
    this.stop.abort();
    this.stop = stopController();
    this.coordinator = this.#startCoordinator();
  }

  #startCoordinator(): Coordinator {
    const random = {
      bytes: (length: number) => Uint8Array.from({ length }, () => this.#roll() * 256),
    };
    const { signal } = this.stop;
    const bus = mortal(this.bus, signal);
    const disk = mortalPart(this.disk, signal);
    const parts = { bus, clock: this.clock, random, disk, log: silentLog };
    const coordinator = new Coordinator({ data: '/data', version: 'test' }, parts);
    void coordinator.run(signal);
    return coordinator;
  }

  /** Until the survey is over, whoever coordinates it by then. */
  async ended(survey: string): Promise<SurveyStatus> {
    for (;;) {
      const status = this.coordinator.runs.get(survey)?.status;
      if (status !== undefined && isOver(status.state) && status.endedAt > 0) return status;
      await this.clock.sleep(100);
    }
  }

  draw(from: number, to: number): number {
    return from + Math.floor(this.#roll() * (to - from));
  }

  /** An agent, with the means to make it leave in order or die, and to cut its link for a while. */
  join(): { leave(): void; die(): void; cut(millis: number): void } {
    const dead = stopController();
    const leaving = stopController();
    const link = { isDown: false };
    const agent = `agent-${++this.#agents}`;
    const options = { agent, vantage: agent, version: 'test', ceiling: 0 };
    const openStation = this.internet.station(dead.signal, link);
    const bus = mortal(this.bus, dead.signal);
    void new Agent(options, { bus, clock: this.clock, log: silentLog, openStation }).run(
      leaving.signal,
    );
    return {
      leave: () => leaving.abort(),
      die: () => dead.abort(),
      cut: (millis) => {
        link.isDown = true;
        void this.clock.sleep(millis).then(() => {
          link.isDown = false;
        });
      },
    };
  }

  async launch(addresses: number, rate: number, report: 'all' | 'successes'): Promise<SurveyRun> {
    const ranges = Ranges.of([{ from: 0x7f4d0000, to: 0x7f4d0000 + addresses }]);
    const space = Space.ofIpv4(ranges, [80, 443] as Port[]);
    const spaceHash = hashSpace(spaceToBytes(space, '7'));
    await this.bus.spaces.put(spaceHash, spaceToBytes(space, '7'));
    const request: SurveyRequest = {
      name: 'simulated',
      probe: 'tcp-syn',
      probeOptions: {},
      rate: rate as Pps,
      cooldown: COOLDOWN,
      seed: '7',
      report,
      output: 'ndjson',
      contact: '',
      purpose: '',
      allowSpecial: ['127.0.0.0/8'],
      spaceHash,
      rulesHash: spaceHash,
    };
    return await this.coordinator.launch(request);
  }

  rows(run: SurveyRun): string[] {
    const index = (name: string) => FIELDS.findIndex((field) => field.name === name);
    const wanted = ['saddr', 'sport', 'classification'].map(index);
    const rows: string[] = [];
    for (const [file, bytes] of this.disk.files) {
      if (!file.startsWith(`/data/${run.survey.id}/segments/`)) continue;
      for (const row of rowsOf(sinkNamed('ndjson'), bytes.toString())) {
        rows.push(wanted.map((i) => row[i]).join(','));
      }
    }
    return rows.sort();
  }

  expectedRows(run: SurveyRun, report: 'all' | 'successes', covered = () => true): string[] {
    const rows: string[] = [];
    for (let position = 0; position < run.plan.size; position++) {
      const { w3: address, port } = run.plan.targetAt(position);
      const code = this.internet.truth(address, port);
      const isReported =
        report === 'all' ? code !== CLASSIFICATION.NONE : code === CLASSIFICATION.SYNACK;
      if (isReported && covered()) {
        rows.push(`${formatIpv4(address)},${port},${CLASSIFICATION_NAMES[code]}`);
      }
    }
    return rows.sort();
  }

  /** Probes in the busiest second. */
  busiestSecond(): number {
    const times = this.internet.shots.map(({ at }) => at);
    let most = 0;
    let first = 0;
    for (let last = 0; last < times.length; last++) {
      while ((times[first] as number) <= (times[last] as number) - 1000) first++;
      most = Math.max(most, last - first + 1);
    }
    return most;
  }
}

describe('a simulated survey', () => {
  test('whose agents are left alone probes every target once and stores every answer once', async () => {
    const world = new World(1);
    for (let i = 0; i < 3; i++) world.join();
    const run = await world.launch(2000, 1000, 'all');
    const status = await world.clock.runUntil(run.ended, LIMIT_MILLIS);
    expect(status).toMatchObject({ state: 'done', covered: 4000, sent: 4000, lost: 0 });
    expect(world.internet.shots).toHaveLength(4000);
    expect(world.rows(run)).toEqual(world.expectedRows(run, 'all'));
    const answered = world.expectedRows(run, 'all').length;
    expect(status.synack + status.rst + status.icmp).toBe(answered);
    world.stop.abort();
  });

  test(`loses and doubles nothing and keeps to its rate, whoever dies (${SEEDS} seeds)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const world = new World(seed);
      const agents = Array.from({ length: world.draw(1, 5) }, () => world.join());
      const rate = world.draw(200, 3000);
      const report = seed % 2 === 0 ? 'all' : 'successes';
      const run = await world.launch(world.draw(200, 3000), rate, report);
      for (let fault = world.draw(0, 4); fault > 0; fault--) {
        const at = world.draw(10, 6000);
        const victim = agents[world.draw(0, agents.length)]!;
        const kind = world.draw(0, 4);
        void world.clock.sleep(at).then(() => {
          if (kind === 3) return victim.cut(world.draw(150, 4000));
          if (kind > 0) victim.die();
          else victim.leave();
          world.join();
        });
      }
      if (world.draw(0, 3) === 0) {
        void world.clock.sleep(world.draw(10, 9000)).then(() => world.replaceCoordinator());
      }
      const ended = world.ended(run.survey.id);
      const status = await world.clock.runUntil(ended, LIMIT_MILLIS);
      const about = `seed ${seed}`;
      expect(status, about).toMatchObject({ state: 'done', covered: run.plan.size });
      expect(world.rows(run), about).toEqual(world.expectedRows(run, report));
      const probed = new Set(world.internet.shots.map(({ position }) => position));
      expect(probed.size, about).toBe(run.plan.size);
      expect(world.busiestSecond(), about).toBeLessThanOrEqual(Math.ceil(rate * 1.02) + 1);
      world.stop.abort();
    }
  }, 600_000);

  test('is not disturbed by an offer of a shard that its plan does not have', async () => {
    const world = new World(3);
    world.join();
    const run = await world.launch(300, 500, 'all');
    await world.bus.work.offer(run.survey.id, 4_000_000);
    const status = await world.clock.runUntil(run.ended, LIMIT_MILLIS);
    expect(status).toMatchObject({ state: 'done', covered: run.plan.size });
    world.stop.abort();
  });

  test('that is cancelled stores exactly what was settled, and says so', async () => {
    const world = new World(5);
    world.join();
    world.join();
    const run = await world.launch(3000, 1000, 'all');
    void world.clock.sleep(2500).then(() => run.cancel(false));
    const status = await world.clock.runUntil(run.ended, LIMIT_MILLIS);
    expect(status.state).toBe('cancelled');
    expect(status.covered).toBe(world.internet.shots.length);
    const probed = new Set(
      world.internet.shots.map(({ position }) => {
        const { w3: address, port } = run.plan.targetAt(position);
        return `${formatIpv4(address)},${port}`;
      }),
    );
    const expected = world
      .expectedRows(run, 'all')
      .filter((row) => probed.has(row.split(',').slice(0, 2).join(',')));
    expect(world.rows(run)).toEqual(expected);
    world.stop.abort();
  });

  test('falls silent when the coordinator is gone, within the life of a grant', async () => {
    const world = new World(9);
    world.join();
    await world.launch(60_000, 1000, 'all');
    await world.clock.runUntil(world.clock.sleep(5000), LIMIT_MILLIS);
    world.stop.abort();
    const stoppedAt = world.clock.monotonic();
    await world.clock.runUntil(world.clock.sleep(20_000), LIMIT_MILLIS);
    const last = world.internet.shots.at(-1)!;
    expect(last.at - stoppedAt).toBeLessThanOrEqual(3000);
    expect(last.at).toBeGreaterThan(4000);
  });
});
