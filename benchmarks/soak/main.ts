/** Runs many surveys, two at a time, on one coordinator and one agent; see `benchmarks/soak.sh`. */
import { sumReplies } from '../../shared/survey/lease.js';
import { holdingsOf, seriesAt } from '../../test/support/holdings.js';
import { LongLife } from '../../test/support/long-life.js';
import { tableOf } from '../harness.js';

const [root = '.', wanted = '0', ...given] = process.argv.slice(2);
const surveys = Number(wanted);
const MILLIS = 600_000;
const AT_ONCE = 2;
const PORT = 19_101;
const NOTED_EVERY = surveys > 0 && surveys <= 60 ? 7 : 50;
/**
 * By default, three spaces: this kernel answers the first, another kernel answers the second, and nobody
 * answers the third.
 */
const SPACES = given.length > 0 ? given : ['127.77.0.0/20', '198.18.0.0/20', '198.19.0.0/22'];
const RATE = given.length > 0 ? 200_000 : 60_000;

const rows: Record<string, string>[] = [];
const begun = performance.now();
let launched = 0;
let ended = 0;
let wrong = 0;

{
  await using life = await LongLife.start(root, PORT);
  const isEnough = () => (surveys > 0 ? launched >= surveys : performance.now() - begun > MILLIS);
  const work = async () => {
    while (!isEnough()) {
      const space = SPACES[launched++ % SPACES.length] as string;
      const { targetsCovered, targets, replied } = await life.survey(space, RATE);
      const expected = space.startsWith('198.19') ? 0 : targets;
      if (targetsCovered !== targets || sumReplies(replied) !== expected) wrong++;
      if (++ended % NOTED_EVERY === 0 || ended === 5) await note(life);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
console.log(tableOf('A long life', `${ended} surveys, ${AT_ONCE} at once`, rows));
if (wrong > 0) console.log(`${wrong} surveys did not end as they should`);
process.exit(wrong > 0 ? 1 : 0);

async function note({ programs }: LongLife): Promise<void> {
  for (const [program, { child, metrics }] of Object.entries(programs)) {
    const { memory, mappings, descriptors, threads } = holdingsOf(child.pid as number);
    const row = {
      surveys: String(ended),
      program,
      'memory MB': (memory / 1e6).toFixed(0),
      mappings: String(mappings),
      descriptors: String(descriptors),
      threads: String(threads),
      series: String(await seriesAt(metrics)),
    };
    console.error(JSON.stringify(row));
    rows.push(row);
  }
}
