/** The contract of every bus. Each test gets a bus of its own. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { stopController } from '../../shared/base/stop.js';
import type { AgentHandlers } from '../../shared/bus/agent-api.js';
import type { ControlHandlers } from '../../shared/bus/control-api.js';
import type { Heartbeat, HeartbeatReply } from '../../shared/bus/heartbeat.js';
import type { AgentBus, ControlBus, CoordinatorBus } from '../../shared/bus/interfaces.js';
import type { EpochRecord, Lease } from '../../shared/survey/lease.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import type { Survey } from '../../shared/survey/survey.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { KEY } from '../support/replies.js';
import { columnsOf, limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';

interface Clients {
  readonly coordinator: CoordinatorBus;
  readonly standby: CoordinatorBus;
  readonly agent: AgentBus;
  readonly person: ControlBus;
  close(): Promise<void>;
}

export interface BusUnderTest {
  /** Clients of the same broker: two coordinators, an agent named `a`, and a person. */
  open(): Promise<Clients>;
  /** Waits until a promise settles. */
  settle<Value>(promise: Promise<Value>): Promise<Value>;
}

export function busContract(name: string, make: BusUnderTest): void {
  describe(`a ${name} bus`, () => {
    let coordinator: CoordinatorBus;
    let standby: CoordinatorBus;
    let agent: AgentBus;
    let person: ControlBus;
    let close: () => Promise<void>;
    let stop: AbortController;

    beforeEach(async () => {
      ({ coordinator, standby, agent, person, close } = await make.open());
      stop = stopController();
    });
    afterEach(async () => {
      stop.abort();
      await close();
    });

    test('accepts only one of two writes to a lease that expect the same revision', async () => {
      const revision = await standby.leases.write(lease('a', 1), 0);
      expect(revision).toBeGreaterThan(0);
      expect(await standby.leases.write(lease('b', 1), 0)).toBeUndefined();
      const [first, second] = await Promise.all([
        standby.leases.write(lease('a', 2), revision!),
        coordinator.leases.write(lease('b', 2), revision!),
      ]);
      expect([first, second].filter((won) => won !== undefined)).toHaveLength(1);
      const holder = first === undefined ? 'b' : 'a';
      expect((await standby.leases.read('s1', 4))?.value.epochs[0]?.agent).toBe(holder);
    });

    test('lists the leases of a survey, and purges them without those of another', async () => {
      await coordinator.leases.write(lease('a', 1), 0);
      const other = { ...lease('a', 1), survey: 's2' };
      const revision = await coordinator.leases.write(other, 0);
      const young = await coordinator.leases.write({ ...lease('a', 2), shard: 5 }, 0);
      const listed = await standby.leases.list('s1');
      expect(listed.map(({ value }) => value.shard).sort()).toEqual([4, 5]);
      expect(listed.find(({ value }) => value.shard === 5)).toEqual({
        value: { ...lease('a', 2), shard: 5 },
        revision: young,
      });
      expect(await standby.leases.list('s3')).toEqual([]);
      await coordinator.leases.purge('s1');
      expect(await standby.leases.list('s1')).toEqual([]);
      expect(await coordinator.leases.read('s1', 4)).toBeUndefined();
      expect(await coordinator.leases.write(lease('b', 1), 0)).toBeGreaterThan(0);
      expect(await standby.leases.list('s2')).toEqual([{ value: other, revision }]);
    });

    test('purges leases whose records are older than a revision, and no others', async () => {
      const old = await standby.leases.write(lease('a', 1), 0);
      await standby.leases.write({ ...lease('a', 1), survey: 's2' }, 0);
      const young = await standby.leases.write({ ...lease('a', 1), shard: 5 }, 0);
      await coordinator.leases.purge('s1', 1);
      expect(await standby.leases.read('s1', 4)).toBeDefined();
      await coordinator.leases.purge('s1', young);
      expect(old).toBeLessThan(young!);
      expect(await standby.leases.read('s1', 4)).toBeUndefined();
      expect((await standby.leases.read('s1', 5))?.revision).toBe(young);
      expect(await standby.leases.read('s2', 4)).toBeDefined();
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
      const seen = take(standby.exclusions.watch(stop.signal), 2);
      expect(await standby.exclusions.add({ ...entry, reason: 'too late' })).toBe(false);
      await coordinator.exclusions.add({ ...entry, version: 2 });
      expect(await make.settle(seen)).toEqual([entry, { ...entry, version: 2 }]);
      expect(await standby.exclusions.list()).toEqual([entry, { ...entry, version: 2 }]);
    });

    test('has one leader record, changed by compare-and-set', async () => {
      expect(await coordinator.leader.read()).toBeUndefined();
      const first = { id: 'a', term: 1, resigned: false };
      const revision = await coordinator.leader.write(first, 0);
      expect(await standby.leader.write({ ...first, id: 'b' }, 0)).toBeUndefined();
      expect(await standby.leader.read()).toEqual({ value: first, revision });
      const second = { id: 'b', term: 2, resigned: true };
      expect(await standby.leader.write(second, revision!)).toBeGreaterThan(revision!);
      expect(await coordinator.leader.write(first, revision!)).toBeUndefined();
    });

    test('keeps result batches until they are acknowledged, even if their consumer crashes', async () => {
      await agent.results.publish(batch(0), KEY);
      await agent.results.publish(batch(1), KEY);
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
      await agent.results.publish(batch(0), KEY);
      const delivery = (await make.settle(first)).value;
      expect(delivery?.batch).toEqual(batch(0));
      delivery?.acknowledge();
      const deposed = stopController();
      const second = batches.next();
      const late = standby.results.consume(deposed.signal)[Symbol.asyncIterator]();
      void late.next();
      await make.settle(new Promise((resolve) => setTimeout(resolve, 200)));
      deposed.abort();
      await agent.results.publish(batch(1), KEY);
      expect((await make.settle(second)).value?.batch).toEqual(batch(1));
    });

    test('carries answers that exceed the size limit of a message', async () => {
      const files = Array.from(
        { length: 60_000 },
        (_, i) => `segments/${i}-of-a-huge-survey.parquet`,
      );
      const handlers = { files: async () => ({ survey: 's', folder: '/s', files }) };
      coordinator.people.serve(handlers as unknown as ControlHandlers, stop.signal);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50))); // until it has subscribed
      const answer = await make.settle(person.control.ask('files', { survey: 's' }));
      expect(answer.files).toEqual(files);
    });

    test('keeps a batch once, however often it is published', async () => {
      for (let i = 0; i < 3; i++) await agent.results.publish(batch(0), KEY);
      await agent.results.publish(batch(1), KEY);
      const seen = await make.settle(take(coordinator.results.consume(stop.signal), 2));
      expect(seen.map((delivery) => delivery.batch.serial)).toEqual([0, 1]);
      expect(seen.map(({ remaining }) => remaining)).toEqual([1, 0]);
    });

    test('keeps a batch although somebody without the key of its lease has published one of the same number', async () => {
      await agent.results.publish({ ...batch(0), vantage: 'elsewhere' }, new Uint8Array(16));
      await agent.results.publish(batch(0), KEY);
      const seen = await make.settle(take(coordinator.results.consume(stop.signal), 2));
      expect(seen.map((delivery) => delivery.batch.vantage)).toEqual(['elsewhere', 'here']);
    });

    test('returns a survey when it is read or listed', async () => {
      const first = await coordinator.surveys.write(survey('running'), 0);
      const second = await coordinator.surveys.write(survey('done'), first!);
      const stands = { value: survey('done'), revision: second };
      // A writer that knows only the first revision is refused, because the record has changed since.
      expect(await coordinator.surveys.write(survey('paused'), first!)).toBeUndefined();
      expect(await coordinator.surveys.write(survey('paused'), 0)).toBeUndefined();
      expect(await standby.surveys.read('s1')).toEqual(stands);
      expect(await standby.surveys.list()).toEqual([stands]);
      expect(await standby.surveys.read('none')).toBeUndefined();
    });

    test('stores a space of several megabytes under its hash', async () => {
      const bytes = new Uint8Array(3_000_000).fill(7);
      await coordinator.spaces.put('a'.repeat(64), bytes);
      const carried = await standby.spaces.get('a'.repeat(64));
      expect(Buffer.compare(carried!, bytes)).toBe(0);
      expect(await standby.spaces.get('b'.repeat(64))).toBeUndefined();
    });

    test('delivers heartbeats to the coordinator with the name of their agent, and its replies to that agent', async () => {
      const asked: [string, Heartbeat][] = [];
      const handlers: AgentHandlers = {
        heartbeat: async (name, { heartbeat: received }) => {
          asked.push([name, received]);
          return { heartbeat: reply };
        },
        space: async (_name, { offset }) => ({ chunk: new Uint8Array([7, 8]), total: offset + 2 }),
        rules: async (_name, { chunk }) => ({ total: chunk.length }),
        exclusions: async () => {
          throw new Fault('BAD_OPTION', 'not today', { value: 'x' });
        },
      };
      const silence = make.settle(agent.coordinator.ask('heartbeat', { heartbeat }));
      await expect(silence).rejects.toMatchObject({ code: 'NO_COORDINATOR' });
      coordinator.agents.serve(handlers, stop.signal);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      const answer = await make.settle(agent.coordinator.ask('heartbeat', { heartbeat }));
      expect(asked).toEqual([['a', heartbeat]]);
      expect(answer.heartbeat).toEqual(reply);
      const hash = 'a'.repeat(64);
      const space = await make.settle(agent.coordinator.ask('space', { hash, offset: 2 ** 33 }));
      expect([[...space.chunk], space.total]).toEqual([[7, 8], 2 ** 33 + 2]);
      const chunk = new Uint8Array(LIMITS.chunkOctets).fill(3);
      const rules = agent.coordinator.ask('rules', { hash, offset: 0, total: 9, chunk });
      expect((await make.settle(rules)).total).toBe(LIMITS.chunkOctets);
      const refused = make.settle(agent.coordinator.ask('exclusions', { after: 3 }));
      await expect(refused).rejects.toMatchObject({ code: 'BAD_OPTION', details: { value: 'x' } });
    });

    test('announces surveys to agents', async () => {
      const heard = take(agent.announcements(stop.signal), 2);
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      coordinator.agents.announce('s1');
      coordinator.agents.announce('');
      expect(await make.settle(heard)).toEqual(['s1', '']);
    });

    test('answers requests of the command line, and reports the coordinator’s faults to it', async () => {
      await expect(make.settle(person.control.ask('agents', {}))).rejects.toMatchObject({
        code: 'NO_COORDINATOR',
      });
      const refuse = async () => {
        throw new Error('not asked here');
      };
      coordinator.people.serve(
        {
          upload: refuse,
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
          enrolments: refuse,
          files: refuse,
          file: async ({ offset }) => ({ chunk: new Uint8Array([1, 2]), total: offset + 2 }),
        },
        stop.signal,
      );
      await make.settle(new Promise((resolve) => setTimeout(resolve, 50)));
      const answer = person.control.ask('file', { survey: 's', file: 'a', offset: 2 ** 40 });
      expect((await make.settle(answer)).total).toBe(2 ** 40 + 2);
      await expect(make.settle(person.control.ask('status', { survey: '' }))).rejects.toThrow(
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
  return {
    survey: 's1',
    shard: 4,
    state: 'held',
    epochs: [{ ...record, agent, sentUpTo }],
    term: 3,
  };
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
    crossCheckInterval: 0,
    limits: limitsOf({ size: 1000 }),
    rate: 0.5 as Pps,
    cooldown: 8000 as Millis,
    seed: '7',
    rows: 'all',
    segmentFormat: 'csv',
    contact: 'survey@example.org',
    purpose: 'testing',
    allowSpecial: ['127.0.0.0/8'],
    authorization: '{}\n',
    signature: 'signed',
    spaceHash: 'a'.repeat(64),
    rulesHash: 'a'.repeat(64),
    shardLength: 256,
    planHash: 'b'.repeat(64),
    createdAt: 1.7e12,
    protocol: 3,
    term: 2,
    endReason: 'max-runtime',
    firstEpoch: 1,
  };
}

const heartbeat: Heartbeat = {
  vantage: 'here',
  version: '0.1.0',
  protocol: 3,
  session: 'x7',
  sentAt: 12.5,
  invalid: 1,
  state: 'working',
  problem: '',
  problemCode: '',
  wantsSignature: false,
  known: [{ survey: 's1', version: 2 ** 40 }],
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
      rulesHash: 'c'.repeat(64),
      wanted: 3,
      shards: [
        {
          shard: 4,
          epoch: 2,
          state: 'settled',
          progress: {
            sentUpTo: 2 ** 40,
            settledUpTo: 2 ** 39,
            probesSent: 5,
            batches: 2,
            replies: { synack: 3 },
            versionSpans: [{ version: 3, from: 1 }],
            ...noneUnsent(),
          },
          icmpLimited: ['192.0.2.1'],
          slowedNetworks: ['198.51.100.0/24'],
        },
        {
          ...{ shard: 5, epoch: 1, state: 'held', progress: undefined },
          ...{ icmpLimited: [], slowedNetworks: [] },
        },
      ],
    },
  ],
};

const reply: HeartbeatReply = {
  gapMillis: 15,
  exclusionsHead: 'ab'.repeat(32),
  term: 2,
  protocol: 3,
  surveys: [{ version: 2 ** 40, record: survey('running') }],
  forgotten: ['s0'],
  offered: ['s1'],
  grants: [
    {
      survey: 's1',
      serial: 4,
      rate: 0.1,
      ttlMillis: 3000,
      exclusionsVersion: 2,
      quarantineReason: 'it receives nothing',
      releaseShards: [3, 5],
    },
  ],
  leases: [{ survey: 's1', shard: 9, epoch: 2, from: 2 ** 40, key: new Uint8Array(16).fill(9) }],
  lost: [{ survey: 's1', shard: 7, epoch: 1 }],
  exclusionsVersion: 5,
};
