import { describe, expect, test } from 'vitest';
import { AgentHealth, type ReplyRate } from '../../coordinator/agents/agent-health.js';
import { agentsWithoutReplies } from '../../coordinator/agents/no-replies.js';
import { Stragglers } from '../../coordinator/dispatch/stragglers.js';
import { ExclusionService } from '../../coordinator/exclusion-service.js';
import { systemClock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';
import type { Activity } from '../../shared/bus/heartbeat.js';
import { memoryBus } from '../../shared/bus/memory/memory-bus.js';
import type { Port } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import type { Lease } from '../../shared/survey/lease.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';

const activity = (second: number, change: Partial<Activity['ioStats']> = {}): Activity => ({
  survey: 's',
  hasWork: true,
  rate: 1000,
  probesSent: 1000 * second,
  ceiling: 0,
  grantSerial: second,
  replies: 40 * second,
  exclusionsVersion: 0,
  ioStats: {
    transmit: '',
    framesReceived: 100 * second,
    framesDropped: 0,
    interfaceDropped: 0,
    sendErrors: {},
    ...change,
  },
});

describe('an agent’s health', () => {
  test('costs it nothing while nothing is wrong', () => {
    const health = new AgentHealth();
    for (let second = 0; second < 20; second++)
      health.update(activity(second), 1000, second * 1000);
    expect(health.cap).toBe(Number.POSITIVE_INFINITY);
    expect(health.replyRate).toEqual({ probesSent: 10_000, replies: 400 });
  });

  test('lowers its grant when replies are dropped, and raises it again afterwards', () => {
    const health = new AgentHealth();
    health.update(activity(0), 1000, 0);
    health.update(activity(1, { framesDropped: 5 }), 1000, 1000);
    expect(health.cap).toBe(700);
    for (let second = 2; second < 30; second++) {
      health.update(
        activity(second, { framesDropped: 5 }),
        Math.min(health.cap, 1000),
        second * 1000,
      );
    }
    expect(health.cap).toBe(Number.POSITIVE_INFINITY);
  });

  test('lowers it for frames that the kernel refuses, and for a full queue only to the rate in use', () => {
    const refused = new AgentHealth();
    refused.update(activity(0), 1000, 0);
    refused.update(activity(1, { sendErrors: { EPERM: 3 } }), 1000, 1000);
    expect(refused.cap).toBe(700);
    const full = new AgentHealth();
    full.update(activity(0), 5000, 0);
    full.update(activity(1, { sendErrors: { ENOBUFS: 300 } }), 5000, 1000);
    expect(full.cap).toBe(1250);
  });
});

describe('an agent without replies', () => {
  const replyRate = (probesSent: number, replies: number) => ({ probesSent, replies });
  const named = (replyRates: readonly ReplyRate[]) =>
    new Map(replyRates.map((each, i) => [`a${i}`, each]));
  /** All peers have settled the replies that they claim. */
  const noReplies = (own: ReplyRate, peers: readonly ReplyRate[]) =>
    agentsWithoutReplies(named([own, ...peers]), named([replyRate(0, 0), ...peers])).get('a0');

  test('is found if its peers’ hit rate promises dozens of replies', () => {
    const peers = [replyRate(10_000, 400), replyRate(8000, 330)];
    expect(noReplies(replyRate(2000, 0), peers)).toMatch(/receives no replies: 0 to 2000 probes/);
    expect(noReplies(replyRate(2000, 75), peers)).toBeUndefined();
    expect(noReplies(replyRate(2000, 20), peers)).toBeUndefined(); // half: a network may hide as much
  });

  test('is not assumed in a quiet space, without peers, or after few probes', () => {
    expect(noReplies(replyRate(1e6, 0), [])).toBeUndefined();
    expect(noReplies(replyRate(1e6, 0), [replyRate(1e6, 3)])).toBeUndefined();
    expect(noReplies(replyRate(500, 0), [replyRate(10_000, 400)])).toBeUndefined();
  });

  test('does not affect its peers, and no agent is compared with itself', () => {
    const replyRates = [
      replyRate(10_000, 0),
      replyRate(10_000, 400),
      replyRate(8000, 330),
      replyRate(9, 0),
    ];
    const all = named(replyRates);
    expect([...agentsWithoutReplies(all, all).keys()]).toEqual(['a0']);
    // Of two agents with replies, each is compared with the other.
    const two = named([replyRate(1e6, 100), replyRate(1000, 500)]);
    expect(agentsWithoutReplies(two, two).size).toBe(1);
  });

  test('is not found because of inflated heartbeats without a lease, however many', () => {
    const honest = [replyRate(1000, 10), replyRate(1000, 12)];
    const ghosts = Array.from({ length: 9 }, () => replyRate(1e6, 1e6));
    const settled = named([replyRate(5000, 50), replyRate(5000, 60)]);
    expect(agentsWithoutReplies(named([...honest, ...ghosts]), settled).size).toBe(0);
  });

  test('is not found because of one liar among its peers', () => {
    const peers = [replyRate(1000, 1000), replyRate(10_000, 400), replyRate(10_000, 390)];
    expect(noReplies(replyRate(5000, 200), peers)).toBeUndefined();
  });
});

describe('shards at the end of a survey', () => {
  const ranges = Ranges.of([{ from: 0, to: 2048 }]);
  const plan = new Plan(Space.ofIpv4(ranges, [80] as Port[]), '7', 1024);
  const held = (shard: number, sentUpTo: number) =>
    ({
      survey: 's',
      shard,
      state: 'held',
      epochs: [{ agent: 'a', sentUpTo }],
    }) as unknown as Lease;

  test('are released if their holder would take long, twice at most', () => {
    const stragglers = new Stragglers(plan);
    const leases = [held(0, 1000), held(1, 1024)];
    expect(stragglers.of('a', 20, leases)).toEqual([1]);
    expect(stragglers.of('a', 200, leases)).toEqual([]);
    expect(stragglers.of('b', 1, leases)).toEqual([]);
    expect(stragglers.of('a', 20, leases)).toEqual([1]);
    expect(stragglers.of('a', 20, leases)).toEqual([]);
  });
});

describe('the exclusion service', () => {
  test('logs each entry once, whether it was entered here or received', async () => {
    const bus = memoryBus(systemClock);
    const disk = new MemoryDisk();
    const control = new ExclusionService('/data', {
      bus,
      clock: systemClock,
      disk,
      log: silentLog,
    });
    await control.restore();
    const stop = stopController();
    const following = (async () => {
      for await (const version of control.follow(stop.signal)) if (version >= 3) stop.abort();
    })();
    await Promise.all([
      control.add('198.18.0.0/24', 'one', 'noc'),
      bus.exclusions.add({
        version: 2,
        prefix: '198.18.1.0/24',
        reason: 'two',
        by: '',
        at: 1,
        lifts: 0,
      }),
      control.add('2001:db8::/48', 'three', 'noc'),
    ]);
    stop.abort();
    await following;
    const lines = disk.files.get('/data/exclusions.ndjson')?.toString().trim().split('\n') ?? [];
    expect(lines.map((line) => JSON.parse(line).version)).toEqual([1, 2, 3]);
  });

  test('restores from its log exclusions that the broker has lost', async () => {
    const disk = new MemoryDisk();
    const deps = { clock: systemClock, disk, log: silentLog };
    const first = new ExclusionService('/data', { bus: memoryBus(systemClock), ...deps });
    await first.restore();
    await first.add('198.18.0.0/24', 'one', 'noc');
    const bus = memoryBus(systemClock);
    const second = new ExclusionService('/data', { bus, ...deps });
    await second.restore();
    expect(await bus.exclusions.list()).toMatchObject([{ version: 1, prefix: '198.18.0.0/24' }]);
    expect(second.list.version).toBe(1);
  });
});
