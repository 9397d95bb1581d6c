import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Router } from '../../agent/egress/router.js';
import { cutTargets } from '../../agent/egress/routes/cut-targets.js';
import { overlay } from '../../agent/egress/routes/partition.js';
import type { Hop } from '../../agent/egress/routes/route-table.js';
import { targetSpans } from '../../agent/egress/routes/target-spans.js';
import { Target } from '../../shared/net/endpoint.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { parseTarget } from '../../shared/survey/lists/target-list.js';
import { compose } from '../../shared/survey/space/compose.js';
import { hitlistOf, NO_LISTS, pairsOf } from '../support/lists.js';

const HOPS: readonly Hop[] = [
  ...['a', 'b'].map(
    (device): Hop => ({ kind: 'hop', device, gateway: undefined, source: undefined }),
  ),
  { kind: 'null', type: 'blackhole' },
];
const BASE = { 4: 0x09090000n, 6: 0x2600_0001n << 96n } as const;
const nat = fc.nat({ max: 60 });
const texts = (family: 4 | 6, numbers: readonly number[]) =>
  numbers.map((n) => (family === 4 ? `9.9.0.${n}` : `2600:1::${n.toString(16)}`));

test('targets of ranges, hitlists and pairs are divided among routes as if each were looked up by itself', () => {
  const lists = fc.record({
    family: fc.constantFrom(4, 6),
    single: fc.array(nat, { maxLength: 12 }),
    paired: fc.array(nat, { maxLength: 6 }),
    prefix: fc.constantFrom(120, 122, 124, 126),
    at: nat,
    routes: fc.array(fc.tuple(nat, fc.integer({ min: 1, max: 20 }), fc.nat({ max: 2 })), {
      maxLength: 8,
    }),
  });
  fc.assert(
    fc.property(lists, ({ family: given, single, paired, prefix, at, routes }) => {
      const family = given as 4 | 6;
      const base = BASE[family];
      const range =
        family === 4 ? `9.9.0.${at}/${prefix - 96}` : `2600:1::${at.toString(16)}/${prefix}`;
      const pairs = texts(family, paired).map((text) =>
        family === 4 ? `${text}:7` : `[${text}]:7`,
      );
      const { space } = compose({
        ...{ ...NO_LISTS, targets: [parseTarget(range, '')] },
        hitlists: [hitlistOf(...texts(family, single))],
        pairs: [pairsOf(...pairs)],
        ports: [80] as ProbePort[],
      });
      let end = 0n;
      const segments = routes
        .toSorted(([a], [b]) => a - b)
        .flatMap(([from, length, hop]) => {
          const start = BigInt(from) > end ? BigInt(from) : end;
          const to = BigInt(from + length);
          if (start >= to) return [];
          end = to;
          return [{ from: base + start, to: base + to, value: HOPS[hop] as Hop }];
        });
      const { slices, unroutable, left } = cutTargets(targetSpans(space, family), segments, family);
      const router = new Router(
        slices.map(({ destinations }) => destinations),
        false,
      );
      const target = new Target();
      let unreached = 0;
      for (let i = 0; i < space.size; i++) {
        space.at(i as never, target);
        const address =
          family === 4
            ? BigInt(target.w3)
            : target.words.reduce((n, w) => (n << 32n) | BigInt(w), 0n);
        const [piece] = overlay([{ from: address, to: address + 1n }], segments).taken;
        const route = router.routeFor(target);
        const expected = piece?.value.kind === 'hop' ? piece.value.device : undefined;
        expect(slices[route]?.device).toBe(expected);
        if (piece === undefined) unreached++;
      }
      expect(left.length > 0).toBe(unreached > 0);
      expect(new Set(unroutable.map(({ reason }) => reason)).size).toBeLessThanOrEqual(1);
    }),
    { numRuns: 3000 },
  );
});
