/**
 * Measures what people wait for, from command to prompt, and the peak memory of the process: each command in alternating
 * rounds with masscan and, if the environment variable BEFORE names a checkout that is built, with the same command of
 * that checkout. Writes the table into `benchmarks/README.md`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, tableOf } from '../harness.js';
import { writeLists } from './lists.js';

const ROUNDS = 5;
/** Rounds of commands that take many seconds. */
const LARGE_ROUNDS = 1;
const TIMEOUT_MILLIS = 600_000;
const FROM = '<!-- bench:edges -->';
const TO = '<!-- /bench:edges -->';
const root = process.env['TRANSECT_ROOT'] ?? '.';
const before = process.env['BEFORE'];
const isLarge = process.argv.includes('large');
const folder = mkdtempSync(join(tmpdir(), 'transect-edges-'));

interface Work {
  readonly what: string;
  readonly args: string;
  /** Seconds, and megabytes, that the work may take. */
  readonly goal: string;
  /** A shell command of masscan that does the same. */
  readonly peer?: string;
  readonly rounds?: number;
}

const PUBLIC = '-p 80 --contact a@example.org --purpose benchmark';
const peerOf = (list: string) => `masscan -iL ${list} -p80 -sL --seed 1 2>/dev/null | head -1`;
const WORKS: readonly Work[] = [
  {
    what: '1 M IPv4 addresses, plan -I',
    args: `plan -I a1 ${PUBLIC}`,
    goal: '1 s, 200 MB',
    peer: peerOf('a1'),
  },
  { what: '1 M CIDRs, plan -w', args: `plan -w c1 ${PUBLIC}`, goal: '1.2 s', peer: peerOf('c1') },
  { what: '1 M CIDRs excluded, plan -b', args: `plan 0.0.0.0/0 -b c1 ${PUBLIC}`, goal: '' },
  { what: '1 M pairs', args: `plan --pairs-file p1 ${PUBLIC}`, goal: '1.2 s' },
  {
    what: '3 M IPv6 addresses, plan -I',
    args: `plan -I h3 ${PUBLIC}`,
    goal: '3 s',
    peer: peerOf('h3'),
  },
  {
    what: 'plan of one address',
    args: 'plan 198.18.0.1 -p 80 --allow-special 198.18.0.0/15',
    goal: '0.2 s',
  },
  { what: 'probes', args: 'probes', goal: '0.2 s' },
  {
    what: 'scan 127.0.0.1 -p 1-1000 -c 1s -r 10k',
    args: 'scan 127.0.0.1 -p 1-1000 -c 1s -r 10k --allow-special 127.0.0.0/8 -q --data data',
    goal: '1.6 s',
  },
];
const LARGE: readonly Work[] = [
  {
    what: '20 M IPv4 addresses',
    args: `plan -I a20 ${PUBLIC}`,
    goal: '12 s, 1,000 MB',
    rounds: LARGE_ROUNDS,
    peer: peerOf('a20'),
  },
  {
    what: '20 M IPv6 addresses (a file of 600 MB)',
    args: `plan -I h20 ${PUBLIC}`,
    goal: '20 s, 1,500 MB',
    rounds: LARGE_ROUNDS,
  },
];

interface Cost {
  readonly seconds: number;
  readonly megabytes: number;
}

/** Runs a shell command in the folder of the lists. @throws Error if it fails */
function costOf(command: string): Cost {
  const times = join(folder, 'times');
  const timed = ['-f', '%e %M', '-o', times, 'bash', '-o', 'pipefail', '-c', command];
  const { status, stderr } = spawnSync('/usr/bin/time', timed, {
    cwd: folder,
    timeout: TIMEOUT_MILLIS,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // 141: `head` has read enough.
  if (status !== 0 && status !== 141) throw new Error(`${command}: ${status}: ${stderr}`);
  const [seconds = '', kilobytes = ''] = (
    readFileSync(times, 'utf8').trim().split('\n').at(-1) ?? ''
  ).split(' ');
  return { seconds: Number(seconds), megabytes: Number(kilobytes) / 1024 };
}

function measured({ what, args, goal, peer, rounds = ROUNDS }: Work): Record<string, string> {
  const commands: Record<string, string | undefined> = {
    now: `${join(root, 'transect')} ${args}`,
    before: before === undefined ? undefined : `${join(before, 'transect')} ${args}`,
    masscan: peer,
  };
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of Object.entries(commands)) {
      // The old code takes up to 90 s, so it runs once.
      if (command === undefined || (name === 'before' && round > 0)) continue;
      costs.set(name, [...(costs.get(name) ?? []), costOf(command)]);
    }
  }
  const seconds = (name: string) => {
    const all = costs.get(name);
    return all === undefined ? '' : median(all.map((cost) => cost.seconds)).toFixed(2);
  };
  const megabytes = median((costs.get('now') ?? []).map((cost) => cost.megabytes)).toFixed(0);
  return {
    work: what,
    'goal (s, MB)': goal,
    seconds: seconds('now'),
    'peak MB': megabytes,
    ...(before === undefined ? {} : { 'before (s)': seconds('before') }),
    'masscan (s)': seconds('masscan'),
  };
}

try {
  writeLists(folder, isLarge);
  const rows = [...WORKS, ...(isLarge ? LARGE : [])].map(measured);
  const how = `medians of ${ROUNDS} alternating rounds (of one for the code before), from command to prompt`;
  const table = tableOf('From command to prompt', how, rows);
  console.log(table);
  const file = join(root, 'benchmarks', 'README.md');
  const readme = readFileSync(file, 'utf8');
  const head = readme.slice(0, readme.indexOf(FROM) + FROM.length);
  writeFileSync(file, `${head}\n${table}\n${readme.slice(readme.indexOf(TO))}`);
} finally {
  rmSync(folder, { recursive: true });
}
