/** Runs the simulation over many seeds: 1 to TRANSECT_SEEDS (default 1,000), or only TRANSECT_SEED. */
import { expect, test } from 'vitest';
import { type Outcome, simulate, tell } from './simulate.js';

const COUNT = Number(process.env['TRANSECT_SEEDS'] ?? 1000);
const ONLY = process.env['TRANSECT_SEED'];

export function simulateSeeds(half: 'odd' | 'even'): void {
  const all = ONLY === undefined ? Array.from({ length: COUNT }, (_, i) => i + 1) : [Number(ONLY)];
  const seeds = all.filter((seed) => (seed % 2 === 1) === (half === 'odd'));
  const what = 'a survey loses and duplicates nothing, and keeps within bounds, under any faults';
  test.skipIf(seeds.length === 0)(
    `${what} (${seeds.length} ${half} seeds)`,
    async () => {
      const failed: Outcome[] = [];
      let probes = 0;
      let events = 0;
      let took = 0;
      for (const seed of seeds) {
        const outcome = await simulate(seed);
        probes += outcome.probes;
        events += outcome.events.length;
        took += outcome.took;
        if (outcome.breaches.length > 0) failed.push(outcome);
      }
      const hours = (took / 3_600_000).toFixed(1);
      console.log(
        `${seeds.length} surveys, ${events} faults, ${probes} probes, ${hours} h of virtual time; ` +
          `${failed.length} failed`,
      );
      expect(failed.map(tell).join('\n')).toBe('');
    },
    900_000,
  );
}
