/**
 * Accuracy and duration of scans by transect and its peers. The targets are a /16 for which a real kernel
 * answers; every address has one open port and one closed one.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../harness.js';
import { ended, pause, SCANNER, startWithin, stop, TARGETS } from './network.js';

const ROOT = process.env['TRANSECT_ROOT'] ?? process.cwd();
const OPEN = 8080;
const CLOSED = 8081;
const LISTENING = 65536;
const COOLDOWN_SECONDS = 2;
const PATIENCE_MILLIS = 30_000;
const CALIBRATION = [50_000, 100_000, 150_000, 200_000, 300_000];

interface Outcome {
  readonly found: number;
  readonly falseRows: number;
  readonly seconds: number;
  readonly hung: boolean;
}

type Scan = (rate: number, file: string) => readonly string[];

const ours: Scan = (rate, file) => [
  ...[join(ROOT, 'transect'), 'scan', TARGETS, '-p', `${OPEN},${CLOSED}`, '-r', `${rate}`, '-q'],
  ...['-c', `${COOLDOWN_SECONDS}s`, '--allow-special', '198.18.0.0/15', '--rows', 'all'],
  ...['-o', file, '-f', 'saddr,sport,classification', '--data', `${file}.data`],
];
const zmap: Scan = (rate, file) => [
  ...['zmap', '-i', 'eth0', '-p', `${OPEN}`, '-r', `${rate}`, '-c', `${COOLDOWN_SECONDS}`, '-q'],
  ...['-G', '', '-S', SCANNER.address, '-o', file, '--blacklist-file=/dev/null', TARGETS],
];
const masscan: Scan = (rate, file) => [
  ...['masscan', TARGETS, `-p${OPEN},${CLOSED}`, '--rate', `${rate}`, '--adapter', 'eth0'],
  ...['--source-ip', SCANNER.address, '--router-mac', '', '--wait', `${COOLDOWN_SECONDS}`],
  ...['-oL', file],
];

export async function compareAccuracy(
  runs: number,
  rounds: number,
  gateway: string,
): Promise<{ rows: Record<string, string>[]; highest: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'transect-bench-'));
  const withGateway =
    (scan: Scan): Scan =>
    (rate, file) =>
      scan(rate, file).map((word, i, all) => {
        if (word !== '') return word;
        return all[i - 1] === '-G' ? gateway : gateway.replaceAll(':', '-');
      });
  const contenders = [
    { name: 'transect, two ports', scan: ours, ports: 2, runs },
    { name: 'zmap, the open port only', scan: withGateway(zmap), ports: 1, runs: rounds },
    { name: 'masscan, two ports', scan: withGateway(masscan), ports: 2, runs: rounds },
  ];
  try {
    const highest = await highestRate(folder);
    const rows: Record<string, string>[] = [];
    for (const rate of [20_000, highest]) {
      const outcomes = contenders.map((): Outcome[] => []);
      for (let run = 0; run < runs; run++) {
        for (const [i, contender] of contenders.entries()) {
          if (run < contender.runs) {
            outcomes[i]?.push(await measure(contender.scan, rate, folder));
            process.stderr.write('.');
          }
        }
      }
      rows.push(...contenders.map(({ name }, i) => rowOf(name, rate, outcomes[i] ?? [])));
    }
    return { rows, highest };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rowOf(name: string, rate: number, outcomes: readonly Outcome[]): Record<string, string> {
  const found = outcomes.map((outcome) => outcome.found);
  return {
    scanner: name,
    'packets/s': rate.toLocaleString('en-US'),
    runs: `${outcomes.length}`,
    'runs without a miss': `${found.filter((count) => count === LISTENING).length}`,
    'found, worst run': `${Math.min(...found).toLocaleString('en-US')} of 65,536`,
    'false rows': `${Math.max(...outcomes.map(({ falseRows }) => falseRows))}`,
    'seconds (median)': median(outcomes.map(({ seconds }) => seconds)).toFixed(1),
    'had to be killed': `${outcomes.filter(({ hung }) => hung).length}`,
  };
}

/**
 * The highest `CALIBRATION` rate up to which three scans in a row find every open port; the lowest rate if
 * there is none.
 */
async function highestRate(folder: string): Promise<number> {
  let highest = CALIBRATION[0] as number;
  for (const rate of CALIBRATION) {
    for (let i = 0; i < 3; i++) {
      if ((await measure(ours, rate, folder)).found < LISTENING) return highest;
    }
    highest = rate;
  }
  return highest;
}

async function measure(scan: Scan, rate: number, folder: string): Promise<Outcome> {
  const file = join(folder, 'found');
  rmSync(file, { force: true });
  const [program = '', ...args] = scan(rate, file);
  const start = performance.now();
  const child = startWithin(SCANNER.namespace, program, ...args);
  const hung = await Promise.race([
    ended(child).then(() => false),
    pause(PATIENCE_MILLIS).then(() => true),
  ]);
  const seconds = (performance.now() - start) / 1000;
  if (hung) await stop(child);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return { ...count(text), seconds, hung };
}

/**
 * Counts distinct addresses that are reported with the open port, and rows that report the closed port as
 * open. Reads the output of each of the three scanners.
 */
function count(text: string): { found: number; falseRows: number } {
  const open = new Set<string>();
  let falseRows = 0;
  for (const line of text.split('\n')) {
    const address = /198\.18\.\d+\.\d+/.exec(line)?.[0];
    if (address === undefined || line.includes(',rst')) continue;
    if (line.includes(`${CLOSED}`)) falseRows++;
    else open.add(address);
  }
  return { found: open.size, falseRows };
}
