import { describe, expect, test } from 'vitest';
import { AgentRegistry } from '../../coordinator/agents/agent-registry.js';
import { GrantedProbes } from '../../coordinator/leases/granted-probes.js';
import { LeaseBook } from '../../coordinator/leases/lease-book.js';
import { ReportValidator } from '../../coordinator/leases/report-validator.js';
import { ShardTable } from '../../coordinator/storage/shard-table.js';
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Heartbeat, NewLease, ShardReport } from '../../shared/bus/heartbeat.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import type { Progress } from '../../shared/survey/lease.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { silentLog } from '../../shared/telemetry/log.js';

const COOLDOWN = 8000;
const RATE = 10_000;
const space = Space.ofIpv4(Ranges.of([{ from: 1000, to: 1000 + 4 * 65_536 }]), [80] as ProbePort[]);
const plan = new Plan(space, '7', 65_536);
const holder = { agent: 'a', vantage: 'here', rulesHash: '' };

/** The leases of a survey of four shards, and a clock that stands still until it is moved. */
function world(term = 1, broker = memoryBroker()) {
  const time = { now: 1000 };
  const clock: Clock = {
    monotonic: () => time.now as never,
    wall: () => time.now as never,
    sleep: async () => {},
  };
  const table = new ShardTable(plan.shardCount);
  const violations: string[] = [];
  const reports = new ReportValidator({ plan, clock, cooldown: COOLDOWN });
  const book = new LeaseBook({
    survey: { id: 's', firstEpoch: 0 },
    reports,
    ...{ plan, table, store: broker.coordinator.leases, term, clock, log: silentLog },
    keyOf: ({ shard, agent }) => new Uint8Array(16).fill(shard + agent.length),
    onChange: (lease, revision) => table.onLease(lease, time.now, revision),
    epochWithLostBatch: () => undefined,
    onViolation: (_agent, reason) => violations.push(reason),
  });
  return { book, reports, table, time, violations, broker };
}

const nothing = { icmpLimited: [], slowedNetworks: [] };
const progressOf = (change: Partial<Progress>): Progress => ({
  ...{ sentUpTo: 0, settledUpTo: 0, probesSent: 0, batches: 0, replies: {}, versionSpans: [] },
  ...noneUnsent(),
  ...change,
});
const reportOf = (
  { shard, epoch }: Pick<NewLease, 'shard' | 'epoch'>,
  progress?: Partial<Progress>,
  state: ShardReport['state'] = 'held',
): ShardReport => ({
  ...{ shard, epoch, state, ...nothing },
  progress: progress === undefined ? undefined : progressOf(progress),
});

/** Lets time pass, in which the agent is granted the rate. */
function work({ reports, time }: ReturnType<typeof world>, seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    reports.onGrant('a', RATE);
    time.now += 1000;
  }
}

describe('the lease of a shard', () => {
  test('is opened for one agent at a time, with a key that differs from agent to agent', () => {
    const { book } = world();
    const mine = book.open(holder, 3);
    const others = book.open({ ...holder, agent: 'bb' }, 9);
    expect(mine.map(({ shard, epoch, from }) => [shard, epoch, from])).toEqual([
      [0, 1, 0],
      [1, 1, 65_536],
      [2, 1, 131_072],
    ]);
    expect(others.map(({ shard }) => shard)).toEqual([3]);
    expect(mine[0]?.key).not.toEqual(others[0]?.key);
  });

  test('continues where the epoch before had settled, if its holder releases it, forgets it or is gone', () => {
    const made = world();
    const { book, time } = made;
    const [first, second, third] = book.open(holder, 3) as [NewLease, NewLease, NewLease];
    work(made, 10);
    const settled = (lease: NewLease, count: number): Partial<Progress> => ({
      sentUpTo: lease.from + count,
      settledUpTo: lease.from + count,
      probesSent: count,
    });
    book.report('a', [
      reportOf(first, settled(first, 100), 'released'),
      reportOf(second, settled(second, 200)),
      reportOf(third, settled(third, 300)),
    ]);
    book.report('a', [reportOf(third)]); // the second one is not reported any more
    time.now += 60_000;
    book.freeShardsOf((agent) => agent === 'a');
    const next = book.open({ ...holder, agent: 'b' }, 3);
    expect(next.map(({ epoch, from }) => [epoch, from])).toEqual([
      [2, 100],
      [2, 65_736],
      [2, 131_372],
    ]);
    // The first holder comes back: it has lost them.
    expect(book.report('a', [reportOf(third)])).toEqual([{ survey: 's', shard: 2, epoch: 1 }]);
  });

  test('is left to others by the agent that released it, for a while', () => {
    const { book, time } = world();
    const [only] = book.open(holder, 1) as [NewLease];
    book.open({ ...holder, agent: 'b' }, 3);
    book.report('a', [reportOf(only, undefined, 'released')]);
    expect(book.open(holder, 1)).toEqual([]);
    time.now += 3000;
    expect(book.open(holder, 1).map(({ shard }) => shard)).toEqual([0]);
  });

  test('is written before its holder learns of it, and read by the next coordinator', async () => {
    const first = world();
    const [lease] = first.book.open(holder, 1) as [NewLease];
    await first.book.written();
    const second = world(2, first.broker);
    await second.book.restore();
    expect(second.table.heldBy('a')).toEqual([0]);
    // The first coordinator leads no more, but does not know it: its write is overwritten.
    work(first, 20);
    const done = { sentUpTo: 65_536, settledUpTo: 65_536, probesSent: 65_536 };
    expect(first.book.report('a', [reportOf(lease, done, 'settled')])).toEqual([]);
    await first.book.written();
    second.book.freeShardsOf(() => true);
    const [again] = second.book.open({ ...holder, agent: 'b' }, 1);
    expect(again).toMatchObject({ shard: 0, epoch: 2, from: 0 });
    await second.book.written();
    expect(second.table.leaseOf(0)?.epochs.at(-1)?.agent).toBe('b');
    const stored = await first.broker.coordinator.leases.read('s', 0);
    expect(stored?.value).toMatchObject({ term: 2, state: 'held' });
    // Its later writes fail: a later coordinator leads.
    first.book.revoke('a');
    first.book.rewind(first.table.leaseOf(0)!, 1);
    await expect(first.book.written()).rejects.toMatchObject({ code: 'DEPOSED' });
  });

  test('counts a last report that is repeated, because the answer was lost, as answered', () => {
    const made = world();
    const [lease] = made.book.open(holder, 1) as [NewLease];
    work(made, 20);
    const done = { sentUpTo: 65_536, settledUpTo: 65_536, probesSent: 65_536 };
    for (let i = 0; i < 3; i++)
      expect(made.book.report('a', [reportOf(lease, done, 'settled')])).toEqual([]);
    expect(made.table.leaseOf(0)?.state).toBe('settled');
    expect(made.book.open(holder, 9).map(({ shard }) => shard)).toEqual([1, 2, 3]);
  });
});

describe('a report is not believed', () => {
  const HALF = { sentUpTo: 30_000, settledUpTo: 20_000, probesSent: 30_000, batches: 2 };
  test.each<[string, Partial<Progress>, ShardReport['state'], RegExp]>([
    ['sent beyond the end', { ...HALF, sentUpTo: 70_000 }, 'held', /beyond the shard's end/],
    ['settled beyond what was sent', { ...HALF, settledUpTo: 40_000 }, 'held', /sent up to 30000/],
    ['settled less than before', { ...HALF, settledUpTo: 9000 }, 'held', /settledUpTo falls/],
    ['sent less than before', { ...HALF, sentUpTo: 25_000 }, 'held', /sentUpTo falls/],
    ['fewer probes than before', { ...HALF, probesSent: 25_000 }, 'held', /probesSent falls/],
    ['fewer batches than before', { ...HALF, batches: 1 }, 'held', /batches fall/],
    [
      'more classes than positions',
      { ...HALF, replies: { synack: 20_001 } },
      'held',
      /have a class/,
    ],
    ['more silence than probes', { ...HALF, settledUpTo: 30_000, sentUpTo: 60_000 }, 'held', /./],
    ['settled before its end', HALF, 'settled', /before its end/],
    ['more probes than granted', { ...HALF, probesSent: 500_000 }, 'held', /than it was granted/],
  ])('if it claims %s', (_what, claim, state, reason) => {
    const made = world();
    const { book, violations, table } = made;
    const [lease] = book.open(holder, 1) as [NewLease];
    work(made, 12);
    expect(book.report('a', [reportOf(lease, HALF)])).toEqual([]);
    const isSilence = /silence/.test(_what);
    const claimed = isSilence ? { ...claim, probesSent: 30_000, settledUpTo: 45_000 } : claim;
    const lost = book.report('a', [reportOf(lease, claimed, state)]);
    expect(lost).toEqual([{ survey: 's', shard: 0, epoch: 1 }]);
    expect(violations.join()).toMatch(isSilence ? /settled with 30000 probes/ : reason);
    expect(table.leaseOf(0)?.epochs[0]).toMatchObject(HALF);
  });

  test('if it settles positions before their cooldown can be over', () => {
    const made = world();
    const [lease] = made.book.open(holder, 1) as [NewLease];
    work(made, 5);
    const settled = { sentUpTo: 9000, settledUpTo: 9000, probesSent: 9000 };
    expect(made.book.report('a', [reportOf(lease, settled)])).toHaveLength(1);
    expect(made.violations.join()).toMatch(/settled 5000 ms after the lease was opened/);
  });

  test('if it settles more positions than could be probed before the cooldown', () => {
    const made = world();
    const [lease] = made.book.open(holder, 1) as [NewLease];
    made.time.now += 8000; // without any rate
    work(made, 6);
    // The grants allowed 60,000 probes, all of them within the cooldown.
    const settled = { sentUpTo: 60_000, settledUpTo: 60_000, probesSent: 60_000 };
    expect(made.book.report('a', [reportOf(lease, settled)])).toHaveLength(1);
    expect(made.violations.join()).toMatch(/more probes than it was granted/);
  });

  test('if it is about the shard of another agent, an epoch of the past, or a shard that does not exist', () => {
    const { book } = world();
    const [lease] = book.open(holder, 1) as [NewLease];
    const lost = (report: ShardReport, agent: string) => book.report(agent, [report]).length;
    const any = { sentUpTo: 10, probesSent: 10 };
    expect(lost(reportOf(lease, any), 'b')).toBe(1);
    expect(lost(reportOf({ shard: 0, epoch: 9 }, any), 'a')).toBe(1);
    expect(lost(reportOf({ shard: 3, epoch: 1 }, any, 'settled'), 'a')).toBe(1);
    expect(lost(reportOf({ shard: 4_000_000, epoch: 1 }, any, 'settled'), 'a')).toBe(1);
  });

  test('if an agent asks for ever more shards and never ends any', () => {
    const many = new ShardTable(10_000);
    const small = new Plan(space, '7', 64);
    const { broker } = world();
    const clock = { monotonic: () => 0 as never, wall: () => 0 as never, sleep: async () => {} };
    const book = new LeaseBook({
      survey: { id: 's', firstEpoch: 0 },
      reports: new ReportValidator({ plan: small, clock, cooldown: COOLDOWN }),
      ...{ plan: small, table: many, store: broker.coordinator.leases, term: 1, log: silentLog },
      clock,
      keyOf: () => new Uint8Array(16),
      onChange: (lease) => many.onLease(lease, 0),
      epochWithLostBatch: () => undefined,
      onViolation: () => {},
    });
    let opened = 0;
    for (let i = 0; i < 100; i++) opened += book.open(holder, 1_000_000).length;
    expect(opened).toBe(LIMITS.leasesPerAgent);
  });
});

test('the probes that grants allow are bounded by their rates, for as long as they last', () => {
  const granted = new GrantedProbes(0);
  const slack = granted.mostBy(0, 0);
  granted.onGrant(1000, 0);
  granted.onGrant(2000, 1000);
  granted.onGrant(0, 2000);
  // The grant of 2,000/s may still be in use until it expires at 4,000 ms.
  const most = granted.mostBy(60_000, 60_000);
  expect(most).toBeGreaterThanOrEqual(1000 + 3 * 2000);
  expect(most - slack).toBeLessThanOrEqual(1.2 * (1000 + 5 * 2000) + 2000);
  expect(granted.mostBy(1000, 60_000)).toBeLessThanOrEqual(slack + 1.2 * 1000 + 2000);
});

describe('the registry of agents', () => {
  const heartbeat = (session: string, sentAt: number): Heartbeat => ({
    ...{ vantage: 'v', version: '1', protocol: 1, session, sentAt, invalid: 0 },
    ...{
      state: 'working',
      problem: '',
      problemCode: '',
      wantsSignature: false,
      known: [],
      activities: [],
    },
  });

  test('knows one process under a name: the latest one, even if an earlier one is still alive', () => {
    const clock: Clock = {
      monotonic: () => 0 as never,
      wall: () => 0 as never,
      sleep: async () => {},
    };
    const registry = new AgentRegistry(clock);
    registry.onHeartbeat('a', heartbeat('first', 100));
    registry.onHeartbeat('a', heartbeat('second', 5));
    const ofFirst = () => registry.onHeartbeat('a', heartbeat('first', 200));
    expect(ofFirst).toThrow(expect.objectContaining({ code: 'SUPERSEDED' }));
    registry.onHeartbeat('a', heartbeat('second', 6));
    const late = () => registry.onHeartbeat('a', heartbeat('second', 6));
    expect(late).toThrow(expect.objectContaining({ code: 'STALE' }));
    registry.onHeartbeat('b', heartbeat('first', 1));
  });
});
