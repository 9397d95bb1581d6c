/** Reports medians of several rounds, because single measurements on a shared machine vary too much. */
import { cpus, release } from 'node:os';

const ROUNDS = 7;
const WARM_UP = 2;

/** The median rate of `run(count)`, which repeats an operation `count` times, in millions per second. */
export function millionsPerSecond(count: number, run: (count: number) => void): number {
  const rates: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run(count);
    const nanos = Number(process.hrtime.bigint() - start);
    if (round >= WARM_UP) rates.push((count / nanos) * 1e3);
  }
  return median(rates);
}

/**
 * The same for several candidates. All are warmed up before any is measured, and their rounds alternate, so
 * that the engine cannot specialise the code they share for just one of them.
 */
export function ratesSideBySide(
  count: number,
  runs: readonly ((count: number) => void)[],
): number[] {
  const rates = runs.map((): number[] => []);
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    for (const [i, run] of runs.entries()) {
      const start = process.hrtime.bigint();
      run(count);
      const nanos = Number(process.hrtime.bigint() - start);
      if (round >= WARM_UP) rates[i]?.push((count / nanos) * 1e3);
    }
  }
  return rates.map(median);
}

/** Milliseconds that `run` takes: the median of rounds. */
export function milliseconds(run: () => void): number {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run();
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  return median(times);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Prints rows as a Markdown table, with a line above it that names the machine and the date. */
export function printTable(title: string, rows: readonly Readonly<Record<string, string>>[]): void {
  console.log(tableOf(title, `medians of ${ROUNDS} rounds`, rows));
}

export function tableOf(
  title: string,
  how: string,
  rows: readonly Readonly<Record<string, string>>[],
): string {
  const names = Object.keys(rows[0] ?? {});
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const day = new Date().toISOString().slice(0, 10);
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}`;
  return [
    `\n### ${title}\n`,
    `${machine}, Node ${process.version}, ${day}; ${how}\n`,
    line(names),
    line(names.map(() => '---')),
    ...rows.map((row) => line(names.map((name) => row[name] ?? ''))),
  ].join('\n');
}
