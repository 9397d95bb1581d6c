/** Writes the lists of the benchmark: random, but the same each time. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { prng } from '../../test/support/prng.js';

const LINES_PER_WRITE = 100_000;

/** @param isLarge also writes the lists of twenty million lines */
export function writeLists(folder: string, isLarge: boolean): void {
  const roll = prng(20_261_127);
  const below = (limit: number) => Math.floor(roll() * limit);
  const write = (name: string, count: number, line: () => string) => {
    const file = openSync(join(folder, name), 'w');
    for (let done = 0; done < count; done += LINES_PER_WRITE) {
      const lines = Array.from({ length: Math.min(LINES_PER_WRITE, count - done) }, line);
      writeSync(file, `${lines.join('\n')}\n`);
    }
    closeSync(file);
  };
  const octet = () => below(256);
  // Public networks only: a list with a special-purpose prefix is refused.
  const first = () => 11 + below(80);
  const address = () => `${first()}.${octet()}.${octet()}.${octet()}`;
  const cidr = () => `${first()}.${octet()}.${octet()}.${16 * below(16)}/${28 + below(3)}`;
  const group = () => below(65_536).toString(16);
  const address6 = () => {
    const prefix = `2600:${group()}:${group()}:${below(4096).toString(16)}`;
    if (roll() < 0.5) return `${prefix}::${(1 + below(65_535)).toString(16)}`;
    return `${prefix}:${group()}:${group()}:${group()}:${group()}`;
  };
  write('a1', 1e6, address);
  write('c1', 1e6, cidr);
  write('p1', 1e6, () => `${address()}:${1 + below(65_535)}`);
  write('h3', 3e6, address6);
  if (!isLarge) return;
  write('a20', 2e7, address);
  write('h20', 2e7, address6);
}
