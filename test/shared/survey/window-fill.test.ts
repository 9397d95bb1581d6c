import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Target } from '../../../shared/net/endpoint.js';
import { Ranges } from '../../../shared/net/ranges.js';
import { parseWindow } from '../../../shared/survey/space/parse-window.js';

const TEXTS = [
  '2001:db8::/32-64@::1',
  '2001:db8::/40-56@::7',
  '2001:db8::/60-64@::1|::2',
  '2001:db8::/48-64@random',
  '2001:db8:1:2::/112',
  '2001:db8:1:2::/80',
  '2001:db8::/30-34@low:3',
  '2001:db8::/20-70@::1',
];

test('the addresses of many ranks at once are those of each rank, with and without excluded slots', () => {
  const shape = fc.record({
    text: fc.constantFrom(...TEXTS),
    shares: fc.array(fc.double({ min: 0, max: 0.999999, noNaN: true }), {
      minLength: 1,
      maxLength: 40,
    }),
    cut: fc.option(fc.tuple(fc.nat({ max: 60 }), fc.integer({ min: 1, max: 9 }))),
  });
  fc.assert(
    fc.property(shape, ({ text, shares, cut }) => {
      const whole = parseWindow(text, '7');
      const window =
        cut === null
          ? whole
          : whole.keeping(
              whole.ranks.ranges.subtract(Ranges.of([{ from: cut[0], to: cut[0] + cut[1] }])),
            );
      fc.pre(window.size > 0);
      const ranks = shares.map((share) => Math.floor(share * window.size));
      const column = () => new Uint32Array(ranks.length);
      const columns = { w0: column(), w1: column(), w2: column(), w3: column() };
      window.fill(Float64Array.from(ranks), ranks.length, columns);
      const target = new Target();
      for (const [i, rank] of ranks.entries()) {
        window.at(rank, target);
        const { w0, w1, w2, w3 } = columns;
        expect([w0[i], w1[i], w2[i], w3[i]]).toEqual(target.words);
      }
    }),
    { numRuns: 3000 },
  );
});
