import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MaxMinShare } from '../../coordinator/agents/max-min-share.js';
import { type IssuedGrant, RateAllocator } from '../../coordinator/agents/rate-allocator.js';

const activity = (hasWork: boolean, grantSerial: number) => ({ hasWork, grantSerial });
const CAP = Number.POSITIVE_INFINITY;

/** An agent as the allocator sees it: receives grants in any order, and drops them when they expire. */
class Grantee {
  readonly name: string;
  hasWork = true;
  inForce: IssuedGrant | undefined;

  constructor(name: string) {
    this.name = name;
  }
  take(grant: IssuedGrant): void {
    if (grant.serial > (this.inForce?.serial ?? 0)) this.inForce = grant;
  }
  rateAt(now: number): number {
    const { inForce } = this;
    return inForce !== undefined && now < inForce.expiresAt ? inForce.rate : 0;
  }
}

describe('the rate allocator', () => {
  test('never lets the rates in use exceed the budget, even if grants are lost or late, or agents fall silent', () => {
    const step = fc.record({
      agent: fc.integer({ min: 0, max: 4 }),
      hasWork: fc.boolean(),
      passes: fc.integer({ min: 0, max: 1500 }),
      delay: fc.integer({ min: 0, max: 4000 }),
      isLost: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const budget = 1000;
        let now = 0;
        const seenAt = new Map<string, number>();
        const isServing = (name: string) => now - (seenAt.get(name) ?? -1e9) <= 5000;
        const allocator = new RateAllocator({ budget, isServing });
        const agents = Array.from({ length: 5 }, (_, i) => new Grantee(`a${i}`));
        const inFlight: { at: number; agent: Grantee; grant: IssuedGrant }[] = [];
        for (const { agent: i, hasWork, passes, delay, isLost } of steps) {
          now += passes;
          for (const late of inFlight) if (late.at <= now) late.agent.take(late.grant);
          const used = agents.reduce((sum, each) => sum + each.rateAt(now), 0);
          expect(used).toBeLessThanOrEqual(budget * (1 + 1e-9));
          const agent = agents[i]!;
          agent.hasWork = hasWork;
          seenAt.set(agent.name, now);
          const serial = agent.inForce?.serial ?? 0;
          const grant = allocator.issue(agent.name, activity(hasWork, serial), CAP, now);
          expect(allocator.grantedAt(now)).toBeLessThanOrEqual(budget * (1 + 1e-9));
          if (!isLost) inFlight.push({ at: now + delay, agent, grant });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('grants all of the budget, in even shares, to agents with work', () => {
    const allocator = new RateAllocator({ budget: 900, isServing: () => true });
    const agents = ['a', 'b', 'c'].map((name) => new Grantee(name));
    for (let now = 0; now <= 5000; now += 1000) {
      for (const agent of agents) {
        agent.take(
          allocator.issue(agent.name, activity(true, agent.inForce?.serial ?? 0), CAP, now),
        );
      }
    }
    expect(agents.map((agent) => agent.rateAt(5000))).toEqual([300, 300, 300]);
  });

  test('grants the share of an agent without work to the others', () => {
    const allocator = new RateAllocator({ budget: 900, isServing: () => true });
    const [a, b] = [new Grantee('a'), new Grantee('b')];
    for (let now = 0; now <= 8000; now += 1000) {
      b.hasWork = now < 4000;
      for (const agent of [a, b]) {
        const serial = agent.inForce?.serial ?? 0;
        agent.take(allocator.issue(agent.name, activity(agent.hasWork, serial), CAP, now));
      }
    }
    expect(a.rateAt(8000)).toBe(900);
    expect(b.rateAt(8000)).toBe(0);
  });
});

describe('max-min shares', () => {
  test('add up to the budget, or to the sum of all caps if that is less', () => {
    const caps = fc.array(
      fc.oneof(fc.constantFrom(10, 50, Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 999 })),
      { minLength: 1, maxLength: 30 },
    );
    fc.assert(
      fc.property(caps, fc.nat(20_000), fc.nat(29), (all, budget, leaves) => {
        const shares = new MaxMinShare();
        for (const cap of all) shares.add(cap);
        const left = all.filter((cap, i) => {
          const isGone = i % (leaves + 1) === leaves;
          if (isGone) shares.remove(cap);
          return !isGone;
        });
        if (left.length === 0) return;
        const share = shares.of(budget);
        const used = left.reduce((sum, cap) => sum + Math.min(cap, share), 0);
        const usable = left.reduce((sum, cap) => sum + cap, 0);
        expect(used).toBeCloseTo(Math.min(budget, usable), 6);
      }),
    );
  });
});
