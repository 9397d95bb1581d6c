/** Whom cross-checks catch, and whom not: over drawn surveys of honest agents and of one that lies. */
import { describe, expect, test } from 'vitest';
import { Disagreements } from '../../coordinator/cross-checks/disagreements.js';
import type { Comparison } from '../../shared/survey/cross-check-lines.js';
import { prng } from '../support/prng.js';

/** An agent gets a share of the answers, and makes some up, as a share of the true ones. */
interface Behaviour {
  readonly gets: number;
  readonly invents: number;
}

const HONEST: Behaviour = { gets: 0.97, invents: 0 };

/** Compares two agents over targets that answer. */
function compare(
  [owner, checker]: readonly [string, string],
  behaviourOf: (agent: string) => Behaviour,
  targets: number,
  roll: () => number,
): Comparison {
  const [one, two] = [behaviourOf(owner), behaviourOf(checker)];
  const counts = { both: 0, onlyOwner: 0, onlyChecker: 0 };
  for (let target = 0; target < targets; target++) {
    const [first, second] = [roll() < one.gets, roll() < two.gets];
    if (first && second) counts.both++;
    else if (first) counts.onlyOwner++;
    else if (second) counts.onlyChecker++;
    if (roll() < one.invents) counts.onlyOwner++;
    if (roll() < two.invents) counts.onlyChecker++;
  }
  return { owner, checker, ...counts };
}

/** Checks among agents a0, a1, …, drawn at random, until somebody is caught. @returns who, after how many checks */
function until(
  { agents, targets, checks, seed }: Record<'agents' | 'targets' | 'checks' | 'seed', number>,
  behaviourOf: (agent: string) => Behaviour,
): { readonly caught: readonly string[]; readonly after: number } {
  const roll = prng(seed);
  const disagreements = new Disagreements();
  for (let check = 1; check <= checks; check++) {
    const first = Math.floor(roll() * agents);
    const second = (first + 1 + Math.floor(roll() * (agents - 1))) % agents;
    const comparison = compare([`a${first}`, `a${second}`], behaviourOf, targets, roll);
    const caught = disagreements.add([comparison]);
    if (caught.length > 0) return { caught, after: check };
  }
  return { caught: [], after: checks };
}

describe('cross-checks', () => {
  test('catch no honest agent, in five hundred surveys', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const size = { agents: 2 + (seed % 12), targets: [5, 60, 400][seed % 3] ?? 0, checks: 60 };
      const gets = [1, 0.97, 0.9][seed % 3] ?? 1;
      const { caught } = until({ ...size, seed }, () => ({ gets, invents: 0 }));
      expect(caught, `seed ${seed}`).toEqual([]);
    }
  });

  test('catch no honest agent if one of them has a worse network than the others', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const size = { agents: 6, targets: 100, checks: 60, seed };
      const { caught } = until(size, (agent) =>
        agent === 'a1' ? { gets: 0.95, invents: 0 } : HONEST,
      );
      expect(caught, `seed ${seed}`).toEqual([]);
    }
  });

  // Checks among all six agents: a third of them concern the one that lies.
  test.each<[string, Behaviour, number]>([
    ['makes up as many answers as it gets', { gets: 0.97, invents: 1 }, 20],
    ['makes up a fifth', { gets: 0.97, invents: 0.2 }, 40],
    ['gets half', { gets: 0.5, invents: 0 }, 20],
    ['gets four fifths', { gets: 0.8, invents: 0 }, 40],
    ['gets nothing', { gets: 0, invents: 0 }, 20],
    ['has probed nothing, and makes up all', { gets: 0, invents: 0.9 }, 20],
  ])('catch an agent that %s, and no other', (_what, behaviour, most) => {
    for (let seed = 1; seed <= 50; seed++) {
      const size = { agents: 6, targets: 200, checks: 200, seed };
      const { caught, after } = until(size, (agent) => (agent === 'a3' ? behaviour : HONEST));
      expect(caught, `seed ${seed}`).toEqual(['a3']);
      expect(after, `seed ${seed}`).toBeLessThanOrEqual(most);
    }
  });

  test('catch neither of two agents, because nobody knows which one lies', () => {
    const liar = { gets: 0, invents: 1 };
    for (let seed = 1; seed <= 20; seed++) {
      const size = { agents: 2, targets: 200, checks: 30, seed };
      expect(until(size, (agent) => (agent === 'a1' ? liar : HONEST)).caught).toEqual([]);
    }
  });

  test('suspect an agent before it is caught', () => {
    const disagreements = new Disagreements();
    const pair = { owner: 'a', checker: 'b', both: 100, onlyOwner: 0, onlyChecker: 0 };
    disagreements.add([pair]);
    expect(disagreements.isSuspected('a')).toBe(false);
    disagreements.add([{ ...pair, both: 10, onlyOwner: 90 }]);
    expect(disagreements.isSuspected('a')).toBe(true);
    expect(disagreements.isSuspected('b')).toBe(true);
    expect(disagreements.caught.size).toBe(0);
  });

  test('count no answers of an agent that was caught', () => {
    const disagreements = new Disagreements();
    disagreements.restore('b', 'lies');
    disagreements.add([{ owner: 'a', checker: 'b', both: 0, onlyOwner: 50, onlyChecker: 50 }]);
    expect(disagreements.agreement).toEqual({ agreed: 0, seen: 0 });
    expect(disagreements.isSuspected('a')).toBe(false);
    expect(disagreements.reasonOf('b')).toBe('lies');
  });
});
