/** Cross-checks, step by step, with rows as numbers: what they must not do whatever agents report. */
import { describe, expect, test } from 'vitest';
import { CrossChecks } from '../../coordinator/cross-checks/cross-checks.js';
import type { CrossChecksDeps } from '../../coordinator/cross-checks/interfaces.js';
import { StalledLeases } from '../../coordinator/leases/stalled-leases.js';
import type { NewLease } from '../../shared/bus/heartbeat.js';
import type { CheckEntry } from '../../shared/survey/cross-check-lines.js';
import type { EpochRecord, Lease, LeaseState, Progress } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { TCP_SYN_SET } from '../support/tcp-syn-set.js';

const LENGTH = 1000;
const HOUR = 3_600_000;
const plan = {
  shard: (number: number) => ({ number, from: number * LENGTH, to: (number + 1) * LENGTH }),
} as unknown as Plan;
const holder = (agent: string) => ({ agent, vantage: 'v', rulesHash: '' });

function epoch(agent: string, number: number, from: number, to: number): EpochRecord {
  const counts = { replies: {}, ...noneUnsent(), versionSpans: [], icmpLimited: [] };
  const extent = { from, sentUpTo: to, settledUpTo: to, probesSent: to - from, batches: 0 };
  const times = { startedAt: 0, updatedAt: 0 };
  return { ...holder(agent), ...counts, ...extent, ...times, slowedNetworks: [], epoch: number };
}
function leaseOf(shard: number, epochs: readonly EpochRecord[], state: LeaseState = 'settled') {
  return { survey: 's', shard, state, term: 1, epochs } satisfies Lease;
}

/** A survey in which each shard has as many answers as `answers` says; agents that check find none. */
function survey(answers = 0) {
  let now = 0;
  const leases = new Map<number, Lease>();
  const stored: number[] = [];
  const caught: string[] = [];
  const checks: CheckEntry[] = [];
  const sums = { probes: 0, unconfirmed: 0 };
  const rows = ({ shard }: Lease) => ({
    unsent: new Uint8Array(LENGTH),
    *sources() {
      for (let i = 0; i < answers; i++)
        yield { position: shard * LENGTH + i, code: 1, isError: false, isSuccess: true };
    },
  });
  const deps = {
    clock: { monotonic: () => now, wall: () => now },
    random: { bytes: (length: number) => new Uint8Array(length) },
    reports: { violationOf: () => undefined },
    keyOf: () => new Uint8Array(16),
    leaseOf: (shard: number) => leases.get(shard),
    rowsOf: rows,
    store: ({ shard }: Lease) => stored.push(shard),
    onProbes: (count: number) => {
      sums.probes += count;
    },
    onChecked: (check: CheckEntry) => checks.push(check),
    onUnconfirmed: ({ shards }: { shards: number }) => {
      sums.unconfirmed += shards;
    },
    onCaught: ({ agent }: { agent: string }) => caught.push(agent),
    onViolation: () => {},
  } as unknown as CrossChecksDeps;
  const options = { survey: 's', plan, set: TCP_SYN_SET, interval: 64, term: 1, cooldown: 2000 };
  const crossChecks = new CrossChecks({ ...options, rowsMax: 1e9 }, deps);
  const settle = (lease: Lease, rowCount = 1) => {
    leases.set(lease.shard, lease);
    return crossChecks.mayStore(lease, rowCount);
  };
  const pass = (millis: number) => {
    now += millis;
  };
  return { crossChecks, leases, settle, pass, stored, caught, checks, sums };
}
type Survey = ReturnType<typeof survey>;

const asks = ({ crossChecks }: Survey, ...agents: readonly string[]) =>
  agents.flatMap((agent) => crossChecks.open(holder(agent)).map((lease) => ({ agent, lease })));

function report(
  { crossChecks }: Survey,
  agent: string,
  { shard, epoch: number }: Pick<NewLease, 'shard' | 'epoch'>,
  state: LeaseState,
  sent: number,
): void {
  const sentUpTo = shard * LENGTH + sent;
  const progress: Progress = {
    ...{ sentUpTo, settledUpTo: sentUpTo, probesSent: sent, batches: 0, replies: {} },
    ...{ versionSpans: [], ...noneUnsent() },
  };
  const findings = { icmpLimited: [], slowedNetworks: [] };
  crossChecks.report(agent, [{ shard, epoch: number, state, progress, ...findings }]);
}

describe('a shard that waits for its check', () => {
  test('waits as long as the survey is paused, and is not stored unchecked then', () => {
    const one = survey();
    asks(one, 'a', 'b', 'c');
    expect(one.settle(leaseOf(0, [epoch('a', 1, 0, LENGTH)]))).toBe(false);
    one.crossChecks.step(false);
    for (let second = 0; second < 60; second++) {
      one.pass(1000);
      one.crossChecks.pause();
    }
    one.crossChecks.step(false);
    expect(one.stored).toEqual([]);
    expect(asks(one, 'a', 'b', 'c')).toHaveLength(1);
  });

  test('is stored, and counted as unconfirmed, if no other agent is there for a while', () => {
    const one = survey();
    asks(one, 'a');
    one.settle(leaseOf(0, [epoch('a', 1, 0, LENGTH)]));
    for (let second = 0; second < 30; second++) {
      one.crossChecks.step(false);
      one.pass(1000);
      asks(one, 'a');
      if (second === 10) expect(one.crossChecks.notice).toContain('wait until another agent');
    }
    expect(one.stored).toEqual([0]);
    expect(one.sums.unconfirmed).toBe(1);
  });

  test('goes to another agent if the one that was chosen makes no progress, whatever it reports', () => {
    for (const step of [0, 1]) {
      const one = survey();
      asks(one, 'a', 'b', 'c');
      one.settle(leaseOf(0, [epoch('a', 1, 0, LENGTH)]));
      one.crossChecks.step(true);
      const [chosen] = asks(one, 'b', 'c');
      let next: typeof chosen;
      for (let second = 0; second < HOUR / 1000 && next === undefined; second++) {
        one.pass(1000);
        const sent = Math.min(LENGTH - 1, Math.floor((second * step) / 20));
        report(one, chosen?.agent ?? '', chosen?.lease ?? { shard: 0, epoch: 0 }, 'held', sent);
        [next] = asks(one, 'a', 'b', 'c');
        one.crossChecks.step(true);
      }
      expect(next?.agent).not.toBe(chosen?.agent);
    }
  });

  test('counts probes of checks that are not ended', () => {
    const one = survey();
    asks(one, 'a', 'b');
    one.settle(leaseOf(0, [epoch('a', 1, 0, LENGTH)]));
    one.crossChecks.step(true);
    const [check] = asks(one, 'b');
    report(one, 'b', check!.lease, 'held', 700);
    one.crossChecks.report('b', []);
    expect(one.sums.probes).toBe(700);
  });

  test('is judged by all agents that have settled parts of it, not only by the last one', () => {
    const one = survey(300);
    asks(one, 'honest', 'c', 'd', 'e');
    one.settle(leaseOf(0, [epoch('liar', 1, 0, 999), epoch('honest', 2, 999, LENGTH)]));
    for (let round = 0; round < 6; round++) {
      one.crossChecks.step(true);
      for (const { agent, lease } of asks(one, 'c', 'd', 'e'))
        report(one, agent, lease, 'settled', LENGTH);
    }
    expect(one.caught).toEqual(['liar']);
  });

  test('is not checked by its own agent after it was rewound', () => {
    const one = survey();
    asks(one, 'a', 'b');
    one.settle(leaseOf(0, [epoch('a', 1, 0, LENGTH)]));
    one.crossChecks.step(true);
    const [check] = asks(one, 'b');
    one.leases.set(0, leaseOf(0, [], 'released'));
    one.crossChecks.step(true);
    one.settle(leaseOf(0, [epoch('b', 2, 0, LENGTH)]));
    one.crossChecks.step(true);
    report(one, 'b', check!.lease, 'settled', LENGTH);
    expect(one.checks).toEqual([]);
  });
});

test('an agent that the checks of a journal convict is caught, also if the coordinator died before it wrote so', () => {
  const one = survey();
  const line = (owner: string, checker: string, both: number, only: number) =>
    one.crossChecks.restore({
      check: {
        ...{ shard: 1, checker, probesSent: 1 },
        comparisons: [{ owner, checker, both, onlyOwner: only, onlyChecker: only }],
      },
    });
  line('b', 'c', 500, 5);
  line('x', 'b', 0, 300);
  line('x', 'c', 0, 300);
  const { caught, unrecorded } = one.crossChecks.restored;
  expect(caught.map(({ agent }) => agent)).toEqual(['x']);
  expect(unrecorded).toEqual(caught);
});

test('a shard of which all is sent and nothing settles is reclaimed, and one whose probes are repeated is not', () => {
  const stalled = new StalledLeases(plan, 2000);
  let probesSent = LENGTH;
  const lease = () =>
    leaseOf(0, [{ ...epoch('x', 1, 0, LENGTH), settledUpTo: 0, probesSent }], 'held');
  for (let at = 0; at < 120_000; at += 1000) {
    probesSent += 5;
    expect(stalled.of([lease()], at)).toEqual([]);
  }
  let found = 0;
  for (let at = 120_000; at < 240_000; at += 1000) found += stalled.of([lease()], at).length;
  expect(found).toBeGreaterThan(0);
});
