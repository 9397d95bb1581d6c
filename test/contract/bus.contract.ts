/** The contract of every bus. Each test gets a bus of its own. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { stopController } from '../../shared/base/stop.js';
import type { ControlHandlers } from '../../shared/bus/control-api.js';
import type { Grant, Heartbeat } from '../../shared/bus/heartbeat.js';
import type { Bus } from '../../shared/bus/interfaces.js';
import type { EpochRecord, Lease } from '../../shared/survey/lease.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import type { Survey } from '../../shared/survey/survey.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { columnsOf, limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';

export interface BusUnderTest {
  /** Two clients of the same broker. */
  open(): Promise<{ coordinator: Bus; agent: Bus; close(): Promise<void> }>;
  /** Waits until a promise settles. */
  settle<Value>(promise: Promise<Value>): Promise<Value>;
}

const WAIT_MILLIS = 1000;

export function busContract(name: string, make: BusUnderTest): void {
  describe(`a ${name} bus`, () => {
    let coordinator: Bus;
    let agent: Bus;
    let close: () => Promise<void>;
    let stop: AbortController;

    beforeEach(async () => {
      ({ coordinator, agent, close } = await make.open());
      stop = stopController();
      await coordinator.work.open('s1');
    });
    afterEach(async () => {
      stop.abort();
      await close();
    });

    const next = () => make.settle(agent.work.next('s1', WAIT_MILLIS, stop.signal));

    test('delivers an offered shard to one agent only', async () => {
      await coordinator.work.offer('s1', 4);
      expect(await next()).toMatchObject({ survey: 's1', shard: 4 });
      expect(await next()).toBeUndefined();
    });

    test('lets hundreds of agents wait for an offer at the same time', async () => {
      const surveyAgents = 600;
      const waiting = Array.from({ length: surveyAgents }, () =>
        agent.work.next('s1', 5000, stop.signal),
      );
      await make.settle(new Promise((resolve) => setTimeout(resolve, 200)));
      for (let shard = 0; shard < surveyAgents; shard++) await coordinator.work.offer('s1', shard);
      const offers = await make.settle(Promise.all(waiting));
      const shards = offers.map((offer) => offer?.shard ?? -1).sort((a, b) => a - b);
      expect(shards).toEqual(Array.from({ length: surveyAgents }, (_, shard) => shard));
    });

    test('delivers the shards of each survey to agents that pull from that survey', async () => {
      await coordinator.work.open('s2');
      for (let shard = 0; shard < 100; shard++) await coordinator.work.offer('s1', shard);
      await coordinator.work.offer('s2', 7);
      const other = await make.settle(agent.work.next('s2', WAIT_MILLIS, stop.signal));
      expect(other).toMatchObject({ survey: 's2', shard: 7 });
      expect(await next()).toMatchObject({ survey: 's1', shard: 0 });
    });

    test('withdraws all offers of a queue that is closed, and none of another', async () => {
      await coordinator.work.open('s2');
      await coordinator.work.offer('s1', 4);
      await coordinator.work.offer('s2', 4);
      await coordinator.work.close('s2');
      expect(await make.settle(agent.work.next('s2', WAIT_MILLIS, stop.signal))).toBeUndefined();
      expect(await next()).toMatchObject({ survey: 's1', shard: 4 });
      await coordinator.work.open('s2');
      expect(await make.settle(agent.work.next('s2', WAIT_MILLIS, stop.signal))).toBeUndefined();
    });

    test('offers a shard once, however often it is published', async () => {
      for (let i = 0; i < 3; i++) await coordinator.work.offer('s1', 4);
      const offer = await next();
      await offer?.complete();
      expect(await next()).toBeUndefined();
    });

    test('offers a shard again when its holder releases it', async () => {
      await coordinator.work.offer('s1', 4);
      (await next())?.release(10);
      expect(await next()).toMatchObject({ shard: 4 });
    });

    test('accepts only one of two writes to a lease that expect the same revision', async () => {
      const revision = await agent.leases.write(lease('a', 1), 0);
      expect(revision).toBeGreaterThan(0);
      expect(await agent.leases.write(lease('b', 1), 0)).toBeUndefined();
      const [first, second] = await Promise.all([
        agent.leases.write(lease('a', 2), revision!),
        coordinator.leases.write(lease('b', 2), revision!),
      ]);
      expect([first, second].filter((won) => won !== undefined)).toHaveLength(1);
      const holder = first === undefined ? 'b' : 'a';
      expect((await agent.leases.read('s1', 4))?.value.epochs[0]?.agent).toBe(holder);
    });

    test('shows a watcher the existing leases of its survey and then each change to them, but no other survey’s leases', async () => {
      const revision = await agent.leases.write(lease('a', 1), 0);
      await agent.leases.write({ ...lease('z', 1), survey: 's2' }, 0);
      const seen = take(coordinator.leases.watch('s1', stop.signal), 2);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      await agent.leases.write(lease('a', 2), revision!);
      const leases = await make.settle(seen);
      expect(leases.map(({ value }) => value.epochs[0]?.sentUpTo)).toEqual([1, 2]);
    });

    test('purges the leases of a survey that is over, without disturbing watchers of other surveys', async () => {
      await agent.leases.write(lease('a', 1), 0);
      const other = { ...lease('a', 1), survey: 's2' };
      const revision = await agent.leases.write(other, 0);
      const seen = take(coordinator.leases.watch('s2', stop.signal), 2);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      await coordinator.leases.purge('s1');
      expect(await agent.leases.read('s1', 4)).toBeUndefined();
      expect(await agent.leases.write(lease('b', 1), 0)).toBeGreaterThan(0);
      await agent.leases.write({ ...other, state: 'settled' }, revision!);
      expect((await make.settle(seen)).map(({ value }) => value.state)).toEqual([
        'held',
        'settled',
      ]);
    });

    test('purges leases whose records are older than a revision, and no others', async () => {
      const old = await agent.leases.write(lease('a', 1), 0);
      await agent.leases.write({ ...lease('a', 1), survey: 's2' }, 0);
      const young = await agent.leases.write({ ...lease('a', 1), shard: 5 }, 0);
      await coordinator.leases.purge('s1', 1);
      expect(await agent.leases.read('s1', 4)).toBeDefined();
      await coordinator.leases.purge('s1', young);
      expect(old).toBeLessThan(young!);
      expect(await agent.leases.read('s1', 4)).toBeUndefined();
      expect((await agent.leases.read('s1', 5))?.revision).toBe(young);
      expect(await agent.leases.read('s2', 4)).toBeDefined();
    });

    test('stores each version of the exclusions once, and shows them to all watchers', async () => {
      const entry = {
        version: 1,
        prefix: '198.18.7.0/24',
        reason: 'asked to',
        by: 'noc',
        at: 5,
        lifts: 0,
      };
      expect(await coordinator.exclusions.add(entry)).toBe(true);
      const seen = take(agent.exclusions.watch(stop.signal), 2);
      expect(await agent.exclusions.add({ ...entry, reason: 'too late' })).toBe(false);
      await coordinator.exclusions.add({ ...entry, version: 2 });
      expect(await make.settle(seen)).toEqual([entry, { ...entry, version: 2 }]);
      expect(await agent.exclusions.list()).toEqual([entry, { ...entry, version: 2 }]);
    });

    test('has one leader record, changed by compare-and-set', async () => {
      expect(await coordinator.leader.read()).toBeUndefined();
      const first = { id: 'a', term: 1, resigned: false };
      const revision = await coordinator.leader.write(first, 0);
      expect(await agent.leader.write({ ...first, id: 'b' }, 0)).toBeUndefined();
      expect(await agent.leader.read()).toEqual({ value: first, revision });
      const second = { id: 'b', term: 2, resigned: true };
      expect(await agent.leader.write(second, revision!)).toBeGreaterThan(revision!);
      expect(await coordinator.leader.write(first, revision!)).toBeUndefined();
    });

    test('keeps result batches until they are acknowledged, even if their consumer crashes', async () => {
      await agent.results.publish(batch(0));
      await agent.results.publish(batch(1));
      const crashed = stopController();
      const before = await make.settle(take(coordinator.results.consume(crashed.signal), 2));
      before[0]?.acknowledge();
      await make.settle(new Promise((resolve) => setTimeout(resolve, 100)));
      crashed.abort();
      const after = await make.settle(take(coordinator.results.consume(stop.signal), 1));
      expect(after[0]?.batch).toEqual(batch(1));
    });

    test('delivers batches to a consumer again once another, which a deposed leader started late, has stopped', async () => {
      const batches = coordinator.results.consume(stop.signal)[Symbol.asyncIterator]();
      const first = batches.next();
      await agent.results.publish(batch(0));
      const delivery = (await make.settle(first)).value;
      expect(delivery?.batch).toEqual(batch(0));
      delivery?.acknowledge();
      const deposed = stopController();
      const second = batches.next();
      const late = agent.results.consume(deposed.signal)[Symbol.asyncIterator]();
      void late.next();
      await make.settle(new Promise((resolve) => setTimeout(resolve, 200)));
      deposed.abort();
      await agent.results.publish(batch(1));
      expect((await make.settle(second)).value?.batch).toEqual(batch(1));
    });

    test('carries answers that exceed the size limit of a message', async () => {
      const files = Array.from(
        { length: 60_000 },
        (_, i) => `segments/${i}-of-a-huge-survey.parquet`,
      );
      const handlers = { files: async () => ({ survey: 's', folder: '/s', files }) };
      coordinator.control.serve(handlers as unknown as ControlHandlers, stop.signal);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50))); // until it has subscribed
      const answer = await make.settle(agent.control.ask('files', { survey: 's' }));
      expect(answer.files).toEqual(files);
    });

    test('keeps a batch once, however often it is published', async () => {
      for (let i = 0; i < 3; i++) await agent.results.publish(batch(0));
      await agent.results.publish(batch(1));
      const seen = await make.settle(take(coordinator.results.consume(stop.signal), 2));
      expect(seen.map((delivery) => delivery.batch.serial)).toEqual([0, 1]);
      expect(seen.map(({ remaining }) => remaining)).toEqual([1, 0]);
    });

    test('returns a survey when it is read, listed or watched', async () => {
      const first = await coordinator.surveys.write(survey('running'), 0);
      const seen = take(agent.surveys.watch(stop.signal), 2);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      const second = await coordinator.surveys.write(survey('done'), first!);
      expect((await make.settle(seen)).map(({ state }) => state)).toEqual(['running', 'done']);
      const stands = { value: survey('done'), revision: second };
      // A writer that knows only the first revision is refused, because the record has changed since.
      expect(await coordinator.surveys.write(survey('paused'), first!)).toBeUndefined();
      expect(await coordinator.surveys.write(survey('paused'), 0)).toBeUndefined();
      expect(await agent.surveys.read('s1')).toEqual(stands);
      expect(await agent.surveys.list()).toEqual([stands]);
      expect(await agent.surveys.read('none')).toBeUndefined();
    });

    test('stores a space of several megabytes under its hash', async () => {
      const bytes = new Uint8Array(3_000_000).fill(7);
      await coordinator.spaces.put('a'.repeat(64), bytes);
      const carried = await agent.spaces.get('a'.repeat(64));
      expect(Buffer.compare(carried!, bytes)).toBe(0);
      expect(await agent.spaces.get('b'.repeat(64))).toBeUndefined();
    });

    test('delivers heartbeats to coordinators, and each grant to the agent that it names', async () => {
      const received = take(coordinator.heartbeats.subscribe(stop.signal), 1);
      const granted = take(agent.grants.subscribe('a', stop.signal), 1);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      agent.heartbeats.publish(heartbeat);
      expect(await make.settle(received)).toEqual([heartbeat]);
      coordinator.grants.publish({ ...grant, agent: 'b' });
      coordinator.grants.publish(grant);
      expect(await make.settle(granted)).toEqual([grant]);
    });

    test('answers requests of the command line, and reports the coordinator’s faults to it', async () => {
      await expect(make.settle(agent.control.ask('agents', {}))).rejects.toMatchObject({
        code: 'NO_COORDINATOR',
      });
      const refuse = async () => {
        throw new Error('not asked here');
      };
      coordinator.control.serve(
        {
          launch: refuse,
          status: refuse,
          cancel: async ({ survey: id }) => ({ survey: id }),
          agents: async () => ({ agents: [] }),
          lookup: refuse,
          pause: refuse,
          resume: refuse,
          rate: refuse,
          exclude: refuse,
          lift: refuse,
          exclusions: refuse,
          files: refuse,
          file: async ({ offset }) => ({ chunk: new Uint8Array([1, 2]), total: offset + 2 }),
        },
        stop.signal,
      );
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      const answer = agent.control.ask('file', { survey: 's', file: 'a', offset: 2 ** 40 });
      expect((await make.settle(answer)).total).toBe(2 ** 40 + 2);
      await expect(make.settle(agent.control.ask('status', { survey: '' }))).rejects.toThrow(
        'not asked here',
      );
    });
  });
}

async function take<Item>(items: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const taken: Item[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

const record: EpochRecord = {
  epoch: 1,
  agent: 'a',
  vantage: 'here',
  from: 0,
  sentUpTo: 1,
  probesSent: 1,
  settledUpTo: 1,
  batches: 0,
  replies: { synack: 1 },
  ...noneUnsent(),
  icmpLimited: ['192.0.2.1', '2001:db8:1:2::/64'],
  slowedNetworks: ['198.51.100.0/24'],
  rulesHash: '',
  startedAt: 1,
  updatedAt: 2,
  versionSpans: [{ version: 3, from: 1 }],
};

function lease(agent: string, sentUpTo: number): Lease {
  return { survey: 's1', shard: 4, state: 'held', epochs: [{ ...record, agent, sentUpTo }] };
}

function batch(serial: number): ResultBatch {
  const columns = columnsOf(1, 3, 2);
  columns.sequence[0] = 0xffffffff;
  columns.timestampDelta[2] = -5;
  const timestamp = 1.7e15 + serial;
  return {
    survey: 's1',
    shard: 4,
    epoch: 1,
    serial,
    agent: 'a',
    vantage: 'here',
    timestamp,
    columns,
  };
}

function survey(state: Survey['state']): Survey {
  return {
    id: 's1',
    name: 'first',
    state,
    probes: TCP_SYN,
    probesPerTarget: 1,
    aliasLengths: [],
    limits: limitsOf({ size: 1000 }),
    rate: 0.5 as Pps,
    cooldown: 8000 as Millis,
    seed: '7',
    key: new Uint8Array(16).fill(9),
    rows: 'all',
    segmentFormat: 'csv',
    contact: 'survey@example.org',
    purpose: 'testing',
    allowSpecial: ['127.0.0.0/8'],
    spaceHash: 'a'.repeat(64),
    rulesHash: 'a'.repeat(64),
    shardLength: 256,
    planHash: 'b'.repeat(64),
    createdAt: 1.7e12,
    protocol: 3,
    storedBelow: 7,
    term: 2,
    endReason: 'max-runtime',
    firstEpoch: 1,
  };
}

const heartbeat: Heartbeat = {
  agent: 'a',
  vantage: 'here',
  version: '0.1.0',
  protocol: 3,
  sentAt: 12.5,
  invalid: 1,
  state: 'working',
  problem: '',
  problemCode: '',
  activities: [
    {
      survey: 's1',
      hasWork: true,
      rate: 10.5,
      probesSent: 7,
      ceiling: 0,
      grantSerial: 3,
      replies: 5,
      otherPort: 3,
      otherAddress: 4,
      ioStats: {
        transmit: 'af-xdp eth0',
        framesReceived: 2 ** 40,
        framesDropped: 0,
        interfaceDropped: 3,
        sendErrors: { ENOBUFS: 12 },
      },
      exclusionsVersion: 4,
    },
  ],
};

const grant: Grant = {
  survey: 's1',
  agent: 'a',
  serial: 4,
  rate: 0.1,
  heartbeatAt: 12.5,
  ttlMillis: 3000,
  exclusionsVersion: 2,
  quarantineReason: 'it receives nothing',
  releaseShards: [3, 5],
};
