/** Surveys with agents that lie about what they have probed, and cross-checks that find out. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readAuditLog } from '../../coordinator/evidence/audit-log.js';
import type { Pps } from '../../shared/base/brand.js';
import type { Survey } from '../../shared/survey/survey.js';
import { CODE } from '../support/tcp-syn-set.js';
import { expectedRows, rowsOf } from './oracle.js';
import { DATA, World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
const NONE = CODE.SILENT;
const share = (drawn: number) => drawn / 2 ** 32;

type Lie = (code: number, drawn: number) => number;

/** The ways in which an agent may lie about the reply of a target. */
const LIES: Record<string, Lie> = {
  'invents open ports': (code, drawn) => (share(drawn) < 0.2 ? CODE.SYNACK : code),
  'has probed nothing, and invents all': (_code, drawn) =>
    share(drawn) < 0.3 ? CODE.SYNACK : NONE,
  'suppresses all open ports': (code) => (code === CODE.SYNACK ? NONE : code),
  'says closed of what is open': (code) => (code === CODE.SYNACK ? CODE.RST : code),
};

interface Ran {
  readonly world: World;
  readonly survey: Survey;
  readonly rows: readonly string[];
  readonly truth: readonly string[];
}

async function run(
  seed: number,
  { agents = 4, addresses = 3000, interval = 16, loss = 0 },
  prepare: (world: World, names: readonly string[]) => void = () => {},
): Promise<Ran> {
  const world = new World(seed);
  world.internet.loss = loss;
  world.startCoordinator();
  const names = Array.from({ length: agents }, () => world.join().name);
  prepare(world, names);
  const launching = world.launch({ addresses, rate: 2000 as Pps, crossCheckInterval: interval });
  const launched = await world.clock.runUntil(launching, LIMIT_MILLIS);
  const survey = await world.clock.runUntil(world.ended(launched.id), LIMIT_MILLIS);
  const truth = expectedRows(world, await world.planOf(survey), 'all');
  const rows = await rowsOf(world, survey);
  world.close();
  return { world, survey, rows, truth };
}

const manifestOf = ({ world, survey }: Ran) => {
  const file = world.disk.files.get(join(DATA, survey.id, 'manifest.json'));
  return JSON.parse(file?.toString() ?? '{}') as {
    counts: { probesSent: number; targetsCovered: number };
    crossChecks: { checks: number; seen: number; agreed: number; distrusted: object };
  };
};
const difference = (some: readonly string[], others: readonly string[]) => {
  const there = new Set(others);
  return some.filter((row) => !there.has(row)).length;
};

describe('cross-checks', () => {
  test('of honest agents find nobody, change no row, and cost a few probes', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const ran = await run(seed, { loss: seed % 2 === 0 ? 0.02 : 0 });
      const { counts, crossChecks } = manifestOf(ran);
      expect(crossChecks.distrusted, `seed ${seed}`).toEqual({});
      expect(crossChecks.checks).toBeGreaterThan(4);
      expect(crossChecks.agreed / crossChecks.seen).toBeGreaterThan(0.9);
      if (seed % 2 === 1) expect(ran.rows).toEqual(ran.truth);
      expect(counts.probesSent).toBeGreaterThan(6000);
      expect(counts.probesSent).toBe(ran.world.internet.shots.length);
    }
  });

  test.each(Object.entries(LIES))(
    'find the agent that %s, and store none of its rows',
    async (_lie, change) => {
      for (let seed = 1; seed <= 4; seed++) {
        const liar = `agent-${seed}`;
        const ran = await run(seed, {}, ({ internet }) => internet.lies.set(liar, change));
        expect(Object.keys(manifestOf(ran).crossChecks.distrusted), `seed ${seed}`).toEqual([liar]);
        expect(difference(ran.rows, ran.truth), `invented, seed ${seed}`).toBe(0);
        expect(difference(ran.truth, ran.rows), `missing, seed ${seed}`).toBe(0);
        const lines: object[] = [];
        for await (const line of readAuditLog(ran.world.disk, join(DATA, 'audit.ndjson')))
          lines.push(line);
        const request: object = expect.objectContaining({ agent: liar });
        expect(lines).toContainEqual(expect.objectContaining({ verb: 'distrust', request }));
      }
    },
  );

  test('find the agent that suppresses a tenth of its replies, after a few shards', async () => {
    const suppress: Lie = (code, drawn) => (share(drawn) < 0.1 ? NONE : code);
    for (let seed = 1; seed <= 4; seed++) {
      const liar = `agent-${seed}`;
      const ran = await run(seed, {}, ({ internet }) => internet.lies.set(liar, suppress));
      expect(Object.keys(manifestOf(ran).crossChecks.distrusted), `seed ${seed}`).toEqual([liar]);
      expect(difference(ran.rows, ran.truth)).toBe(0);
      expect(difference(ran.truth, ran.rows), `missing, seed ${seed}`).toBeLessThan(60);
    }
  });

  test('do not decide which of two agents lies, and store the rows of both', async () => {
    const lie = LIES['invents open ports'] as Lie;
    const ran = await run(1, { agents: 2 }, ({ internet }) => internet.lies.set('agent-2', lie));
    expect(manifestOf(ran).crossChecks.distrusted).toEqual({});
    expect(manifestOf(ran).counts.targetsCovered).toBe(6000);
  });

  test('believe a majority of agents that agree on the same lies: they find who is alone', async () => {
    const lie = LIES['invents open ports'] as Lie;
    const ran = await run(2, { agents: 3 }, ({ internet }) => {
      for (const colluder of ['agent-2', 'agent-3']) internet.lies.set(colluder, lie);
    });
    expect(Object.keys(manifestOf(ran).crossChecks.distrusted)).toEqual(['agent-1']);
  });

  test('are done again by the next coordinator, which knows who was caught', async () => {
    const lie = LIES['invents open ports'] as Lie;
    const ran = await run(3, {}, (world) => {
      world.internet.lies.set('agent-2', lie);
      world.startCoordinator();
      for (const at of [3500, 12_000]) {
        world.later(at, () => {
          world.coordinators.find(({ leading }) => leading !== undefined)?.host.die();
          world.startCoordinator();
        });
      }
    });
    expect(Object.keys(manifestOf(ran).crossChecks.distrusted)).toEqual(['agent-2']);
    expect(difference(ran.rows, ran.truth)).toBe(0);
    expect(difference(ran.truth, ran.rows)).toBe(0);
  });

  test('continue if an agent that was chosen dies, and if agents join and leave', async () => {
    const ran = await run(4, { interval: 1 }, (world, names) => {
      for (const [i, name] of names.entries()) {
        world.later(3000 + 700 * i, () => {
          world.agents.find((agent) => agent.name === name)?.host.die();
          world.join();
        });
      }
    });
    expect(manifestOf(ran).crossChecks.distrusted).toEqual({});
    expect(ran.rows).toEqual(ran.truth);
  });

  test('end although no other agent is there', async () => {
    const ran = await run(5, { agents: 1, addresses: 500 });
    expect(manifestOf(ran).crossChecks).toMatchObject({ checks: 0 });
    expect(ran.rows).toEqual(ran.truth);
  });
});

describe('a survey', () => {
  test.each([
    ['hoards shards and sends nothing', 0],
    ['sends a hundredth of what it is granted', 0.01],
  ])('ends although an agent %s', async (_what, diligence) => {
    for (let seed = 1; seed <= 3; seed++) {
      const ran = await run(seed, { interval: 0 }, ({ internet }) => {
        internet.diligence.set('agent-1', diligence);
      });
      expect(ran.survey.state).toBe('done');
      expect(ran.rows).toEqual(ran.truth);
      expect(ran.world.clock.monotonic()).toBeLessThan(300_000);
    }
  });
});
