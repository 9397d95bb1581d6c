import { describe, expect, test } from 'vitest';
import { AgentBackoff, type ReplyRate } from '../../coordinator/agents/agent-backoff.js';
import { agentsWithoutReplies } from '../../coordinator/agents/no-replies.js';
import { Stragglers } from '../../coordinator/leases/stragglers.js';
import type { Activity } from '../../shared/bus/heartbeat.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import type { Lease } from '../../shared/survey/lease.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';

const activity = (second: number, change: Partial<Activity['ioStats']> = {}): Activity => ({
  survey: 's',
  hasWork: true,
  rate: 1000,
  probesSent: 1000 * second,
  ceiling: 0,
  grantSerial: second,
  replies: 40 * second,
  otherPort: 0,
  otherAddress: 0,
  exclusionsVersion: 0,
  rulesHash: '',
  wanted: 0,
  shards: [],
  ioStats: {
    transmit: '',
    framesReceived: 100 * second,
    framesDropped: 0,
    interfaceDropped: 0,
    sendErrors: {},
    ...change,
  },
});

describe('the backoff of an agent', () => {
  test('does not limit its grant while nothing is wrong', () => {
    const backoff = new AgentBackoff();
    for (let second = 0; second < 20; second++)
      backoff.update(activity(second), 1000, second * 1000);
    expect(backoff.cap).toBe(Number.POSITIVE_INFINITY);
    expect(backoff.replyRate).toEqual({ probesSent: 10_000, replies: 400 });
  });

  test('lowers its grant when replies are dropped, and raises it again afterwards', () => {
    const backoff = new AgentBackoff();
    backoff.update(activity(0), 1000, 0);
    backoff.update(activity(1, { framesDropped: 5 }), 1000, 1000);
    expect(backoff.cap).toBe(700);
    for (let second = 2; second < 30; second++) {
      backoff.update(
        activity(second, { framesDropped: 5 }),
        Math.min(backoff.cap, 1000),
        second * 1000,
      );
    }
    expect(backoff.cap).toBe(Number.POSITIVE_INFINITY);
  });

  test('lowers its grant if frames are refused, and limits it to little more than the used rate if a queue is full', () => {
    const refused = new AgentBackoff();
    refused.update(activity(0), 1000, 0);
    refused.update(activity(1, { sendErrors: { EPERM: 3 } }), 1000, 1000);
    expect(refused.cap).toBe(700);
    const full = new AgentBackoff();
    full.update(activity(0), 5000, 0);
    full.update(activity(1, { sendErrors: { ENOBUFS: 300 } }), 5000, 1000);
    expect(full.cap).toBe(1250);
  });
});

describe('an agent without replies', () => {
  const replyRate = (probesSent: number, replies: number) => ({ probesSent, replies });
  const named = (replyRates: readonly ReplyRate[]) =>
    new Map(replyRates.map((each, i) => [`a${i}`, each]));
  /** The finding about an agent whose peers have all settled the replies that they report. */
  const noReplies = (own: ReplyRate, peers: readonly ReplyRate[]) =>
    agentsWithoutReplies(named([own, ...peers]), named([replyRate(0, 0), ...peers])).get('a0');

  test('is detected if its peers’ hit rate predicts dozens of replies', () => {
    const peers = [replyRate(10_000, 400), replyRate(8000, 330)];
    expect(noReplies(replyRate(2000, 0), peers)).toMatch(/receives no replies: 0 for 2000 probes/);
    expect(noReplies(replyRate(2000, 75), peers)).toBeUndefined();
    // A quarter of the expected replies: its network may filter the others.
    expect(noReplies(replyRate(2000, 20), peers)).toBeUndefined();
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
    // With two agents that get replies, each is compared with the other.
    const two = named([replyRate(1e6, 100), replyRate(1000, 500)]);
    expect(agentsWithoutReplies(two, two).size).toBe(1);
  });

  test('is not inferred from inflated heartbeats of agents without leases, however many', () => {
    const honest = [replyRate(1000, 10), replyRate(1000, 12)];
    const ghosts = Array.from({ length: 9 }, () => replyRate(1e6, 1e6));
    const settled = named([replyRate(5000, 50), replyRate(5000, 60)]);
    expect(agentsWithoutReplies(named([...honest, ...ghosts]), settled).size).toBe(0);
  });

  test('is not inferred from the false counts of a single peer', () => {
    const peers = [replyRate(1000, 1000), replyRate(10_000, 400), replyRate(10_000, 390)];
    expect(noReplies(replyRate(5000, 200), peers)).toBeUndefined();
  });
});

describe('shards at the end of a survey', () => {
  const ranges = Ranges.of([{ from: 0, to: 2048 }]);
  const plan = new Plan(Space.ofIpv4(ranges, [80] as ProbePort[]), '7', 1024);
  const held = (shard: number, sentUpTo: number) =>
    ({
      survey: 's',
      shard,
      state: 'held',
      epochs: [{ agent: 'a', sentUpTo }],
    }) as unknown as Lease;

  test('are released if their holder needs long for them, each at most twice', () => {
    const stragglers = new Stragglers(plan);
    const leases = [held(0, 1000), held(1, 1024)];
    expect(stragglers.of('a', 20, leases)).toEqual([1]);
    expect(stragglers.of('a', 200, leases)).toEqual([]);
    expect(stragglers.of('b', 1, leases)).toEqual([]);
    expect(stragglers.of('a', 20, leases)).toEqual([1]);
    expect(stragglers.of('a', 20, leases)).toEqual([]);
  });
});
