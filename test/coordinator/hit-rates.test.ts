import { describe, expect, test } from 'vitest';
import { unusualHitRates } from '../../coordinator/agents/hit-rates.js';
import { prng } from '../support/prng.js';

const SHARD = 65_536;

/** The replies of agents that settle some shards each; `changeOf` is the factor by which an agent's hit rate differs. */
function replies(
  { agents, shards, hitRate, seed }: Record<'agents' | 'shards' | 'hitRate' | 'seed', number>,
  changeOf: (agent: number) => number = () => 1,
) {
  const random = prng(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return new Map(
    Array.from({ length: agents }, (_, i) => {
      const probesSent = shards * SHARD;
      const rate = Math.min(1, hitRate * changeOf(i));
      const deviation = Math.sqrt(probesSent * rate * (1 - rate));
      const answered = Math.round(probesSent * rate + deviation * normal());
      return [`a${i}`, { probesSent, replies: Math.max(0, answered) }] as const;
    }),
  );
}
const found = (settled: Parameters<typeof unusualHitRates>[0]) => [
  ...unusualHitRates(settled).keys(),
];

describe('an unusual hit rate', () => {
  test('is not found among honest agents, in a thousand surveys', () => {
    for (let seed = 1; seed <= 1000; seed++) {
      const hitRate = [0.0005, 0.01, 0.3, 0.99][seed % 4] ?? 0;
      const settled = replies({ agents: 2 + (seed % 40), shards: 1 + (seed % 300), hitRate, seed });
      expect(found(settled)).toEqual([]);
    }
  });

  // From the study of attacks: 10 % of 1 % are found after 5.4 shards, 10 % of 0.1 % after 55.
  test.each([
    ['leaves out a tenth of its replies', 0.9, 0.01, 12],
    ['leaves out a tenth of its few replies', 0.9, 0.001, 120],
    ['leaves out a twentieth', 0.95, 0.01, 60],
    ['makes up a fifth', 1.2, 0.01, 4],
    ['makes up ten times as many', 10, 0.01, 1],
    ['answers nothing', 0, 0.01, 1],
  ])('is found if one of twenty agents %s', (_what, change, hitRate, shards) => {
    for (let seed = 1; seed <= 20; seed++) {
      const change3 = (agent: number) => (agent === 3 ? change : 1);
      expect(found(replies({ agents: 20, shards, hitRate, seed }, change3))).toEqual(['a3']);
    }
  });

  test('is found of several agents, and not of those that they are compared with', () => {
    const changeOf = (agent: number) => ({ 2: 0, 5: 30, 7: 0.5 })[agent] ?? 1;
    const settled = replies({ agents: 12, shards: 20, hitRate: 0.02, seed: 9 }, changeOf);
    expect(found(settled).sort()).toEqual(['a2', 'a5', 'a7']);
  });

  test('is found of both, if there are only two agents', () => {
    const settled = replies({ agents: 2, shards: 9, hitRate: 0.02, seed: 4 }, (agent) => 1 + agent);
    expect(found(settled).sort()).toEqual(['a0', 'a1']);
  });

  test('is not found after few replies, nor if the difference does not matter', () => {
    const few = new Map([
      ['a', { probesSent: 1000, replies: 0 }],
      ['b', { probesSent: 1000, replies: 60 }],
      ['c', { probesSent: 10, replies: 10 }],
    ]);
    expect(found(few)).toEqual([]);
    const small = replies({ agents: 9, shards: 9000, hitRate: 0.3, seed: 1 }, (i) => 1 - i / 600);
    expect(found(small)).toEqual([]);
  });

  test('is not found if all others agree in making replies up', () => {
    const settled = replies({ agents: 9, shards: 20, hitRate: 0.02, seed: 1 }, (i) =>
      i === 0 ? 1 : 2,
    );
    expect(found(settled)).toEqual(['a0']); // the honest one is the unusual one: this cannot be helped
  });
});
