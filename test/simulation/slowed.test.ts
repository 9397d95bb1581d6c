/** Surveys of networks that report administrative prohibition, in virtual time. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verify } from '../../coordinator/evidence/verification.js';
import type { Pps } from '../../shared/base/brand.js';
import { CODE } from '../support/tcp-syn-set.js';
import { breaches } from './oracle.js';
import { DATA, FIRST_ADDRESS, World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
const NOTHING = { excluded: () => false, muted: new Set<string>() };
const RATE = 2000 as Pps;
const ADDRESSES = 1024;
/** Probes per second to each of the four /24s, before one is slowed. */
const SHARE = RATE / 4;
const NETWORK = (FIRST_ADDRESS >>> 8) + 2;

function worldWith(agents: number): World {
  const world = new World(21);
  world.internet.prohibiting.add(NETWORK);
  world.startCoordinator();
  for (let i = 0; i < agents; i++) world.join();
  return world;
}

const launch = (world: World) =>
  world.clock.runUntil(world.launch({ addresses: ADDRESSES, rate: RATE }), LIMIT_MILLIS);
const statusOf = async (world: World, survey: string) => {
  const asking = world.broker.people.control.ask('status', { survey });
  return (await world.clock.runUntil(asking, LIMIT_MILLIS)).statuses[0]!;
};

describe('a simulated survey of a network that prohibits probes', () => {
  test.each([1, 3])(
    'lowers the rate to that network to a tenth, with %i agents, and probes all its targets once',
    async (agents) => {
      const world = worldWith(agents);
      const survey = await launch(world);
      const ended = await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
      const { shots } = world.internet;
      expect(new Set(shots.map(({ position }) => position)).size).toBe(2 * ADDRESSES);
      expect(shots).toHaveLength(2 * ADDRESSES);
      const begun = Math.min(...shots.map(({ at }) => at));
      const slow = shots.filter(({ address }) => address >>> 8 === NETWORK);
      const last = Math.max(...slow.map(({ at }) => at));
      const rest = Math.max(...shots.filter((shot) => !slow.includes(shot)).map(({ at }) => at));
      // The first error takes up to 0.6 s. After that, the limit is a tenth of the share, plus two
      // probes a second for each agent.
      const late = slow.filter(({ at }) => at > begun + 1000).length;
      expect(late).toBeGreaterThan(slow.length / 4);
      expect(late).toBeLessThanOrEqual(((last - begun) / 1000) * (SHARE / 10 + 2 * agents));
      expect(last).toBeGreaterThan(rest + 1000);
      const status = await statusOf(world, survey.id);
      expect(status.slowedNetworks.examples).toContain('127.77.2.0/24');
      expect(status).toMatchObject({ state: 'done', prohibited: 0, targetsCovered: 2 * ADDRESSES });
      expect(await world.clock.runUntil(breaches(world, ended, NOTHING), LIMIT_MILLIS)).toEqual([]);
      world.close();
    },
  );

  test('that is cancelled keeps all it has probed, and says what it left out', async () => {
    const world = worldWith(2);
    const survey = await launch(world);
    const waiting = world.clock.sleep(3500);
    await world.clock.runUntil(waiting, LIMIT_MILLIS);
    const cancelling = world.broker.people.control.ask('cancel', {
      survey: survey.id,
      immediately: false,
    });
    await world.clock.runUntil(cancelling, LIMIT_MILLIS);
    const ended = await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
    const status = await statusOf(world, survey.id);
    expect(status.state).toBe('cancelled');
    expect(status.prohibited).toBeGreaterThan(100);
    expect(status.targetsCovered).toBe(2 * ADDRESSES);
    expect(status.targetsCovered - status.prohibited).toBe(world.internet.shots.length);
    const plan = await world.planOf(survey);
    const answered = world.internet.shots.filter(({ position }) => {
      const { w3, port } = plan.targetAt(position);
      return world.internet.truth(w3, port) !== CODE.SILENT;
    });
    expect(status.rowsStored).toBe(answered.length);
    const folder = join(DATA, survey.id);
    const verdict = await verify({ survey: ended, plan, folder, disk: world.disk });
    expect(verdict.examples).toEqual([]);
    world.close();
  });

  test('is finished by another agent if one dies while probes are deferred', async () => {
    const world = worldWith(2);
    const survey = await launch(world);
    await world.clock.runUntil(world.clock.sleep(3500), LIMIT_MILLIS);
    world.agents[0]!.host.die();
    const ended = await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
    expect(ended.state).toBe('done');
    expect(await world.clock.runUntil(breaches(world, ended, NOTHING), LIMIT_MILLIS)).toEqual([]);
    world.close();
  });
});
