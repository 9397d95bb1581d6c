/** Surveys that probe silent targets again, in virtual time. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verify } from '../../coordinator/evidence/verification.js';
import type { Pps } from '../../shared/base/brand.js';
import { LIMITS } from '../../shared/base/limits.js';
import { sumReplies } from '../../shared/survey/lease.js';
import type { Survey } from '../../shared/survey/survey.js';
import { CODE } from '../support/tcp-syn-set.js';
import type { Shot } from './fake-network.js';
import { breaches } from './oracle.js';
import { COOLDOWN, DATA, World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
const NOTHING = { excluded: () => false, muted: new Set<string>() };
const RATE = 2000 as Pps;

const launch = (world: World, addresses: number): Promise<Survey> =>
  world.clock.runUntil(world.launch({ addresses, rate: RATE, probesPerTarget: 3 }), LIMIT_MILLIS);
const finish = async (world: World, survey: Survey) => {
  await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
  const asking = world.broker.people.control.ask('status', { survey: survey.id });
  return (await world.clock.runUntil(asking, LIMIT_MILLIS)).statuses[0]!;
};

function byPosition(shots: readonly Shot[]): ReadonlyMap<number, Shot[]> {
  const groups = new Map<number, Shot[]>();
  for (const shot of shots) groups.set(shot.position, [...(groups.get(shot.position) ?? []), shot]);
  return groups;
}

describe('a simulated survey with three probes per target', () => {
  test('probes each silent target again after a pause, and at most as often as requested', async () => {
    const world = new World(5);
    world.internet.loss = 0.05;
    world.startCoordinator();
    for (let i = 0; i < 3; i++) world.join();
    const survey = await launch(world, 4000);
    const status = await finish(world, survey);
    expect(status).toMatchObject({ state: 'done', targetsCovered: 8000, sendFailed: 0 });
    const plan = await world.planOf(survey);
    const shots = byPosition(world.internet.shots);
    let alive = 0;
    for (const [position, probes] of shots) {
      const { w3, port } = plan.targetAt(position);
      const isAlive = world.internet.truth(w3, port) !== CODE.SILENT;
      if (isAlive) alive++;
      else expect(probes).toHaveLength(3);
      expect(probes.length).toBeLessThanOrEqual(3);
      const gaps = probes.slice(1).map(({ at }, i) => at - probes[i]!.at);
      for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(LIMITS.repeatMillis);
    }
    // Each attempt reaches its target and returns with a chance of 0.95²; replies may take a second.
    expect(sumReplies(status.replied) / alive).toBeGreaterThan(0.997);
    expect(status.probesSent).toBe(world.internet.shots.length);
    const folder = join(DATA, survey.id);
    const verdict = await verify({ survey, plan, folder, disk: world.disk });
    expect(verdict.examples).toEqual([]);
    world.close();
  });

  test('probes no more targets a fourth time than were in flight when an agent died', async () => {
    const world = new World(6);
    world.startCoordinator();
    const agents = [world.join(), world.join()];
    const survey = await launch(world, 8000);
    await world.clock.runUntil(world.clock.sleep(9000), LIMIT_MILLIS);
    agents[0]!.host.die();
    const status = await finish(world, survey);
    expect(status).toMatchObject({ state: 'done', targetsCovered: 16_000 });
    const plan = await world.planOf(survey);
    const silent = Array.from({ length: plan.size }, (_, position) =>
      plan.targetAt(position),
    ).filter(({ w3, port }) => world.internet.truth(w3, port) === CODE.SILENT).length;
    const shots = byPosition(world.internet.shots);
    const excessive = [...shots.values()].filter((probes) => probes.length > 3).length;
    // The probes in flight are those that one of the two agents, at half the rate, sends in two repeat
    const inFlight =
      (1000 * (2 * LIMITS.repeatMillis + COOLDOWN + 2 * LIMITS.heartbeatMillis)) / 1000;
    expect(excessive).toBeLessThan(inFlight);
    expect(silent).toBeGreaterThan(4000);
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });
});
