/** How fast targets are generated: the permutation, the space, and both, on one core. */
import type { Position, TargetIndex } from '../shared/base/brand.js';
import { Target } from '../shared/net/endpoint.js';
import type { ProbePort } from '../shared/net/ports.js';
import { type Range, Ranges } from '../shared/net/ranges.js';
import { FeistelPermutation, RUN_MAX } from '../shared/permutation/permutation.js';
import { Plan, shardLengthFor } from '../shared/survey/plan.js';
import { SPECIAL } from '../shared/survey/policy/special-purpose-registry.js';
import { Space } from '../shared/survey/space/space.js';
import { millionsPerSecond, milliseconds, printTable, ratesSideBySide } from './harness.js';

const COUNT = 4_000_000;
const SIZES = [
  4096,
  2 ** 16 + 1,
  2 ** 31 + 1,
  3_702_258_432,
  2 ** 32,
  2 ** 40 + 1,
  2 ** 48,
  2 ** 53,
];
const HTTPS = [443] as ProbePort[];

const fixed = (value: number) => value.toFixed(1);
const all = Ranges.of([{ from: 0, to: 2 ** 32 }]).subtract(SPECIAL);

/** `count` entries of 1 to 4,096 addresses, at random places. */
function blocklist(count: number): Range[] {
  let state = 1;
  const roll = () => {
    state = Math.imul(state, 1664525) + 1013904223;
    return (state >>> 0) / 2 ** 32;
  };
  return Array.from({ length: count }, () => {
    const from = Math.floor(roll() * 2 ** 32);
    return { from, to: Math.min(2 ** 32, from + 1 + Math.floor(roll() ** 4 * 4096)) };
  });
}

printTable(
  'Permutation, one core',
  SIZES.map((size) => {
    const permutation = new FeistelPermutation(size, '7');
    let sink = 0;
    const forward = millionsPerSecond(COUNT, (count) => {
      for (let i = 0, n = 0; i < count; i++) {
        sink += permutation.at(n as Position);
        if (++n === size) n = 0;
      }
    });
    const inRuns = millionsPerSecond(COUNT, (count) => {
      for (let i = 0, n = 0; i < count; i += RUN_MAX) {
        sink += permutation.run(n, Math.min(RUN_MAX, size - n))[0] as number;
        n = n + RUN_MAX < size ? n + RUN_MAX : 0;
      }
    });
    const backward = millionsPerSecond(COUNT, (count) => {
      for (let i = 0, n = 0; i < count; i++) {
        sink += permutation.positionOf(n as TargetIndex);
        if (++n === size) n = 0;
      }
    });
    if (Number.isNaN(sink)) throw new Error('unreachable');
    return {
      size: size.toLocaleString('en-US'),
      'in runs, as sent (M/s)': fixed(inRuns),
      'one by one (M/s)': fixed(forward),
      'positionOf (M/s)': fixed(backward),
    };
  }),
);

const spaces: [string, Space][] = [
  ['default exclusions', Space.ofIpv4(all, HTTPS)],
  ['and a blocklist of 100,000', Space.ofIpv4(all.subtract(Ranges.of(blocklist(100_000))), HTTPS)],
  ['and a blocklist of 1,000,000', Space.ofIpv4(all.subtract(Ranges.of(blocklist(1e6))), HTTPS)],
  [
    'default exclusions, 1,000 ports',
    Space.ofIpv4(all, Array.from({ length: 1000 }, (_, i) => i + 1) as ProbePort[]),
  ],
];
let sink = 0;
const walk = (space: Space) => {
  const permutation = new FeistelPermutation(space.size, '7');
  const column = () => new Uint32Array(RUN_MAX);
  const columns = { w0: column(), w1: column(), w2: column(), w3: column() };
  const ports = new Uint16Array(RUN_MAX);
  return (count: number) => {
    for (let i = 0; i < count; i += RUN_MAX) {
      space.fill(permutation.run(i, RUN_MAX), RUN_MAX, columns, ports);
      sink += columns.w3[0] as number;
    }
  };
};
const byDefault = Space.ofIpv4(all, HTTPS);
printTable('Targets in probing order as an agent makes them: one space in the process', [
  {
    space: 'default exclusions',
    'targets (M/s)': fixed(millionsPerSecond(COUNT, walk(byDefault))),
  },
]);
const inOrder = ratesSideBySide(
  COUNT,
  spaces.map(([, space]) => walk(space)),
);
const lookedUp = ratesSideBySide(
  COUNT,
  spaces.map(([, space]) => (count) => {
    const target = Target.ipv4(0, 443);
    for (let i = 0; i < count; i++) {
      target.w3 = (i * 2654435761) >>> 0;
      sink += space.indexOf(target);
    }
  }),
);
if (Number.isNaN(sink)) throw new Error('unreachable');
printTable(
  'Targets in probing order, one core, rounds alternating',
  spaces.map(([name, space], i) => ({
    space: name,
    ranges: space.parts.ipv4.count.toLocaleString('en-US'),
    'targets (M/s)': fixed(inOrder[i] ?? 0),
    'cost against the first': `${(100 * ((inOrder[0] ?? 0) / (inOrder[i] ?? 1) - 1)).toFixed(0)} %`,
    'indexOf (M/s)': fixed(lookedUp[i] ?? 0),
  })),
);

const million = blocklist(1e6);
const everyPort = Array.from({ length: 65535 }, (_, i) => i + 1) as ProbePort[];
printTable('Planning', [
  {
    what: 'a space of 1,000,000 ranges, from unsorted ranges',
    milliseconds: fixed(milliseconds(() => Space.ofIpv4(Ranges.of(million), HTTPS))),
  },
  {
    what: 'a plan of all of IPv4 × 65,535 ports',
    milliseconds: fixed(
      milliseconds(() => {
        const space = Space.ofIpv4(all, everyPort);
        new Plan(space, '7', shardLengthFor(space.size, 1e6));
      }),
    ),
  },
]);
