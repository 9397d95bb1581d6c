/** Single faults of a survey, in virtual time. Those drawn from seeds are in `seeds-*.test.ts`. */

import { describe, expect, test } from 'vitest';
import { verify } from '../../coordinator/evidence/verification.js';
import type { Pps } from '../../shared/base/brand.js';
import { PROTOCOL } from '../../shared/base/version.js';
import { sumReplies } from '../../shared/survey/lease.js';
import type { Survey } from '../../shared/survey/survey.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { breaches, expectedRows, rowsOf } from './oracle.js';
import { World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
const NOTHING = { excluded: () => false, muted: new Set<string>() };

async function launch(world: World, addresses: number, rate: number): Promise<Survey> {
  const launching = world.launch({ addresses, rate: rate as Pps });
  return await world.clock.runUntil(launching, LIMIT_MILLIS);
}
const statusOf = async (world: World, { id }: Survey) => {
  const asking = world.broker.people.control.ask('status', { survey: id });
  return (await world.clock.runUntil(asking, LIMIT_MILLIS)).statuses[0]!;
};
const pass = (world: World, millis: number) =>
  world.clock.runUntil(world.clock.sleep(millis), LIMIT_MILLIS);
const finish = async (world: World, survey: Survey) => {
  await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
  return await statusOf(world, survey);
};

describe('a simulated survey', () => {
  test('without faults probes every target once and stores every reply once', async () => {
    const world = new World(1);
    world.startCoordinator();
    for (let i = 0; i < 3; i++) world.join();
    const survey = await launch(world, 2000, 1000);
    const status = await finish(world, survey);
    expect(status).toMatchObject({
      state: 'done',
      targetsCovered: 4000,
      probesSent: 4000,
      sendFailed: 0,
    });
    expect(world.internet.shots).toHaveLength(4000);
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    const answered = expectedRows(world, await world.planOf(survey), 'all').length;
    expect(sumReplies(status.replied)).toBe(answered);
    world.close();
  });

  test('starts at once, even if another one is slow and has many shards on offer', async () => {
    const world = new World(2);
    world.startCoordinator();
    for (let i = 0; i < 2; i++) world.join();
    const slow = await launch(world, 20_000, 20);
    await pass(world, 5000);
    const before = world.internet.shots.length;
    const quick = await launch(world, 2000, 1000);
    await pass(world, 2000);
    expect(world.internet.shots.length - before).toBeGreaterThan(1000);
    expect(await finish(world, quick)).toMatchObject({ state: 'done', targetsCovered: 4000 });
    expect(await statusOf(world, slow)).toMatchObject({ state: 'running' });
    world.close();
  });

  test('is not disturbed by reports of shards outside its plan, or of others’ shards', async () => {
    const world = new World(3);
    world.startCoordinator();
    world.join();
    const survey = await launch(world, 300, 500);
    const stranger = world.broker.agent('stranger');
    const known = { framesReceived: 0, framesDropped: 0, interfaceDropped: 0, sendErrors: {} };
    const nothing = { icmpLimited: [], slowedNetworks: [] };
    const shards = [4_000_000, 0, 1].map((shard) => ({
      ...{ shard, epoch: 1, ...nothing },
      state: 'settled' as const,
      progress: {
        ...{ settledUpTo: 256 * (shard + 1), sentUpTo: 256 * (shard + 1), probesSent: 256 },
        ...{ batches: 0, replies: {}, versionSpans: [], ...noneUnsent() },
      },
    }));
    const heartbeat = {
      ...{ vantage: 'x', version: 'x', protocol: PROTOCOL, session: 's', sentAt: 1, invalid: 0 },
      ...{
        state: 'working' as const,
        problem: '',
        problemCode: '',
        wantsSignature: false,
        known: [],
      },
      activities: [
        {
          ...{ survey: survey.id, hasWork: true, rate: 0, probesSent: 0, ceiling: 0, replies: 0 },
          ...{ grantSerial: 0, otherPort: 0, otherAddress: 0, exclusionsVersion: 0, wanted: 0 },
          ...{ ioStats: { transmit: '', ...known }, rulesHash: '', shards },
        },
      ],
    };
    const asked = stranger.coordinator.ask('heartbeat', { heartbeat });
    const { heartbeat: reply } = await world.clock.runUntil(asked, LIMIT_MILLIS);
    expect(reply?.lost.map(({ shard }) => shard)).toEqual([4_000_000, 0, 1]);
    expect(await finish(world, survey)).toMatchObject({ state: 'done', targetsCovered: 600 });
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });

  test('that is cancelled stores exactly the probed positions, and reports how many', async () => {
    const world = new World(5);
    world.startCoordinator();
    world.join();
    world.join();
    const survey = await launch(world, 3000, 1000);
    world.later(2500, () => {
      void world.broker.people.control.ask('cancel', { survey: survey.id, immediately: false });
    });
    const status = await finish(world, survey);
    expect(status.state).toBe('cancelled');
    expect(status.targetsCovered).toBe(world.internet.shots.length);
    const targetsProbed = new Set(world.internet.shots.map(({ position }) => position));
    const plan = await world.planOf(survey);
    const expected = expectedRows(world, plan, 'all', (position) => targetsProbed.has(position));
    expect(await rowsOf(world, survey)).toEqual(expected);
    world.close();
  });

  test('that is cancelled at once stores the positions settled by then, each shard once', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const world = new World(seed, { delay: 40, loss: 0 });
      world.startCoordinator();
      world.join();
      world.join();
      const survey = await launch(world, 3000, 1000);
      world.later(2500 + 97 * seed, () => {
        void world.broker.people.control.ask('cancel', { survey: survey.id, immediately: true });
      });
      const status = await finish(world, survey);
      const plan = await world.planOf(survey);
      const folder = `/data/${survey.id}`;
      const verdict = await verify({ survey, plan, folder, disk: world.disk });
      expect(status.state).toBe('cancelled');
      expect(verdict).toMatchObject({
        targetsCovered: status.targetsCovered,
        violations: 0,
        examples: [],
      });
      world.close();
    }
  });

  test('stops sending when the coordinator is gone, within the TTL of a grant', async () => {
    const world = new World(9);
    const { host } = world.startCoordinator();
    world.join();
    await launch(world, 60_000, 1000);
    await pass(world, 5000);
    host.die();
    const diedAt = world.clock.monotonic();
    await pass(world, 20_000);
    const last = world.internet.shots.at(-1)!;
    expect(last.at - diedAt).toBeLessThanOrEqual(3000);
    expect(last.at).toBeGreaterThan(4000);
    world.close();
  });

  test('continues within ten seconds when its coordinator dies and there is a standby', async () => {
    const world = new World(10);
    const first = world.startCoordinator();
    await pass(world, 1000);
    world.startCoordinator();
    for (let i = 0; i < 3; i++) world.join();
    const survey = await launch(world, 20_000, 2000);
    await pass(world, 4000);
    first.host.die();
    const diedAt = world.clock.monotonic();
    await pass(world, 12_000);
    const shots = world.internet.shots.filter(({ at }) => at > diedAt);
    const resumedAt = shots.find(({ at }, i) => at - (shots[i - 1]?.at ?? diedAt) > 500)?.at ?? 0;
    expect(resumedAt - diedAt).toBeGreaterThan(3000);
    expect(resumedAt - diedAt).toBeLessThanOrEqual(10_000);
    expect(await finish(world, survey)).toMatchObject({ state: 'done', probesSent: 40_000 });
    expect(world.internet.shots).toHaveLength(40_000); // no agent lost a lease, so nothing was probed twice
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });

  test('is taken over at once when its coordinator resigns', async () => {
    const world = new World(11);
    const first = world.startCoordinator();
    await pass(world, 500);
    const second = world.startCoordinator();
    await pass(world, 1000);
    expect([first.leading === undefined, second.leading === undefined]).toEqual([false, true]);
    const seat = await world.broker.coordinator.leader.read();
    await world.broker.coordinator.leader.write({ ...seat!.value, resigned: true }, seat!.revision);
    await pass(world, 1500);
    expect(second.leading).toBeDefined();
    expect(first.leading).toBeUndefined();
    world.close();
  });

  test('is paused, resumed and slowed down within a second, and loses nothing', async () => {
    const world = new World(12);
    world.startCoordinator();
    for (let i = 0; i < 3; i++) world.join();
    const survey = await launch(world, 6000, 2000);
    const sentWithin = (from: number, to: number) =>
      world.internet.shots.filter(({ at }) => from <= at && at < to).length;
    const ask = { survey: survey.id };
    await pass(world, 2000);
    await world.clock.runUntil(world.broker.people.control.ask('pause', ask), LIMIT_MILLIS);
    const pausedAt = world.clock.monotonic();
    await pass(world, 5000);
    expect(sentWithin(pausedAt + 100, pausedAt + 5000)).toBe(0);
    expect((await statusOf(world, survey)).state).toBe('paused');
    await world.clock.runUntil(world.broker.people.control.ask('resume', ask), LIMIT_MILLIS);
    const resumedAt = world.clock.monotonic();
    await pass(world, 2000);
    expect(sentWithin(resumedAt + 1000, resumedAt + 2000)).toBeGreaterThan(1900);
    const slower = { ...ask, rate: 300 };
    await world.clock.runUntil(world.broker.people.control.ask('rate', slower), LIMIT_MILLIS);
    const slowedAt = world.clock.monotonic();
    await pass(world, 3000);
    expect(sentWithin(slowedAt + 1000, slowedAt + 2000)).toBeLessThanOrEqual(307);
    expect(sentWithin(slowedAt + 2000, slowedAt + 3000)).toBeGreaterThan(280);
    expect(await finish(world, survey)).toMatchObject({ state: 'done', probesSent: 12_000 });
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });

  test('stops probing targets at once if they are excluded while it runs, and reports the version that excluded them', async () => {
    const world = new World(13);
    world.startCoordinator();
    for (let i = 0; i < 3; i++) world.join();
    const survey = await launch(world, 4000, 1000);
    await pass(world, 2000);
    const ask = { prefix: '127.77.4.0/22', reason: 'the owner asked', by: 'noc' };
    const excluding = world.broker.people.control.ask('exclude', ask);
    expect(await world.clock.runUntil(excluding, LIMIT_MILLIS)).toEqual({
      version: 1,
      waiting: [],
    });
    const at = world.clock.monotonic();
    const excluded = (address: number) => address >>> 10 === 0x7f4d0400 >>> 10;
    const status = await finish(world, survey);
    const late = world.internet.shots.filter((shot) => excluded(shot.address) && shot.at > at + 20);
    expect(late).toEqual([]);
    expect(status.excluded + world.internet.shots.length).toBe(8000);
    expect(status.excluded).toBeGreaterThan(500);
    expect(await breaches(world, survey, { ...NOTHING, excluded })).toEqual([]);
    const { results } = await world.clock.runUntil(
      world.broker.people.control.ask('lookup', { survey: survey.id, target: '127.77.5.1' }),
      LIMIT_MILLIS,
    );
    const outcomes = new Set(results.map(({ outcome }) => outcome));
    const shots = world.internet.shots.filter(({ address }) => address === 0x7f4d0501);
    expect(outcomes.has('excluded')).toBe(shots.length < 2);
    world.close();
  });

  test('puts an agent without replies into quarantine, and probes its positions again', async () => {
    const world = new World(14);
    world.startCoordinator();
    for (let i = 0; i < 3; i++) world.join();
    const survey = await launch(world, 30_000, 1500);
    await pass(world, 6000);
    const muted = world.agents[1]!;
    muted.link.hasLostNetwork = true;
    const mutedAt = world.clock.monotonic();
    const status = await finish(world, survey);
    const last = world.internet.shots.findLast(({ agent }) => agent === muted.name)!;
    expect(last.at - mutedAt).toBeLessThan(12_000);
    expect(status.state).toBe('done');
    expect(await breaches(world, survey, { ...NOTHING, muted: new Set([muted.name]) })).toEqual([]);
    const { agents } = await world.clock.runUntil(
      world.broker.people.control.ask('agents', {}),
      LIMIT_MILLIS,
    );
    expect(agents.find(({ agent }) => agent === muted.name)?.problem).toMatch(
      /receives no replies/,
    );
    world.close();
  });

  test('stalls if the disk is full, reports it, and continues when there is space', async () => {
    const world = new World(15);
    world.startCoordinator();
    for (let i = 0; i < 2; i++) world.join();
    const survey = await launch(world, 6000, 1000);
    await pass(world, 3500);
    world.disk.isFull = true;
    await pass(world, 6000);
    const status = await statusOf(world, survey);
    expect(status.problem).toMatch(/results cannot be stored: .*no space left/);
    const fullAt = world.clock.monotonic();
    await pass(world, 5000);
    expect(world.internet.shots.filter(({ at }) => at > fullAt)).toEqual([]);
    world.disk.isFull = false;
    expect(await finish(world, survey)).toMatchObject({ state: 'done', problem: '' });
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });

  test('repeats probes if a power cut lost acknowledged batches, and reoffers lost shards', async () => {
    const world = new World(17);
    const first = world.startCoordinator();
    for (let i = 0; i < 2; i++) world.join();
    const survey = await launch(world, 6000, 1500);
    await pass(world, 4000);
    first.host.die();
    await pass(world, 2500);
    world.broker.losePower();
    world.startCoordinator();
    await pass(world, 30_000);
    const status = await statusOf(world, survey);
    expect(status).toMatchObject({ state: 'running' });
    expect(status.targetsCovered).toBeLessThan(12_000);
    expect(await finish(world, survey)).toMatchObject({ state: 'done', targetsCovered: 12_000 });
    expect(world.internet.shots.length).toBeGreaterThan(12_000);
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });

  test('reassigns the shards of a slow agent when all others are done', async () => {
    const world = new World(16);
    world.startCoordinator();
    const slow = world.join(5);
    const survey = await launch(world, 4000, 2000);
    await pass(world, 500);
    world.join();
    const status = await finish(world, survey);
    expect(status).toMatchObject({ state: 'done', targetsCovered: 8000 });
    // The slow agent would have needed 51 s for the 256 positions of its shard.
    expect(world.clock.monotonic()).toBeLessThan(25_000);
    const sent = world.internet.shots.filter(({ agent }) => agent === slow.name);
    expect(sent.length).toBeGreaterThan(10);
    expect(world.internet.shots).toHaveLength(8000);
    expect(await breaches(world, survey, NOTHING)).toEqual([]);
    world.close();
  });
});
