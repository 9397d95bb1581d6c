/**
 * Ten million random lines, most of them almost well-formed: the reader of octets and the reader of text give the same
 * result for each.
 */
import { expect, test } from 'vitest';
import { HitlistReader } from '../../shared/survey/lists/hitlist.js';
import { PairListReader } from '../../shared/survey/lists/pair-list.js';
import { readAll } from '../support/lists.js';

const LINES = 10_000_000;
const BATCH = 100_000;
const LETTERS = '0123456789abcdefABCDEF:::...,,[]/-# \t\rgx';

/** A linear congruential generator, so that a failure can be repeated (Knuth, TAOCP 2, §3.3.4). */
let state = 20_261_127n;
function random(below: number): number {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(below));
}

function someLine(): string {
  const octets = Array.from({ length: 4 }, () => random(random(2) === 0 ? 256 : 300));
  const groups = Array.from({ length: 8 }, () => random(65_536).toString(16));
  const at = random(8);
  const forms = [
    octets.join('.'),
    groups.join(':'),
    `${groups.slice(0, at).join(':')}::${groups.slice(at + 1).join(':')}`,
  ];
  const address = forms[random(3)] as string;
  const port = random(70_000);
  const tails = ['', '', `:${port}`, `,${port}`, ' ', '\r', ' # x'];
  let line = random(4) === 0 ? `[${address}]:${port}` : `${address}${tails[random(tails.length)]}`;
  for (let changes = random(3) * random(2); changes > 0; changes--) {
    const place = random(line.length + 1);
    const letter = LETTERS[random(LETTERS.length)] as string;
    line = line.slice(0, place) + (random(3) === 0 ? '' : letter) + line.slice(place + random(2));
  }
  return line;
}

test.each([
  ['a hitlist', () => new HitlistReader('list')],
  ['pairs', () => new PairListReader('list')],
])(
  'ten million lines of %s are read from octets as from text',
  { timeout: 3_600_000 },
  (_, open) => {
    for (let batch = 0; batch < LINES / BATCH; batch++) {
      const text = Array.from({ length: BATCH }, someLine).join('\n');
      const fast = readAll(open(), text);
      const plain = readAll(Object.assign(open(), { readUsual: () => -1 }), text);
      const columns = (reader: HitlistReader | PairListReader) =>
        reader instanceof PairListReader ? [reader.list] : [reader.list.ipv4, reader.list.ipv6];
      for (const [i, column] of columns(fast).entries()) {
        const other = columns(plain)[i]?.words ?? new Uint32Array(0);
        expect(
          Buffer.compare(
            Buffer.from(column.words.slice().buffer),
            Buffer.from(other.slice().buffer),
          ),
        ).toBe(0);
      }
      expect([fast.badCount, fast.badLines]).toEqual([plain.badCount, plain.badLines]);
    }
  },
);
