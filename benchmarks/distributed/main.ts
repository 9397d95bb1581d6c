/** Measures the whole system on one machine; see `benchmarks/distributed.sh`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Lease, lastEpoch } from '../../shared/survey/lease.js';
import { median } from '../harness.js';
import { framesSent, makeSinks, pause, System, until } from './system.js';

const [root = '.'] = process.argv.slice(2);
const OUR_SENDER = fileURLToPath(new URL('../peers/our-sender.js', import.meta.url));
const ROUNDS = 5;
const FIRST_FRAMES = 3;
const SETTLE_MILLIS = 2000;
const WINDOW_MILLIS = 2000;
const UNLIMITED = ['-p', '1-1000', '-r', '100M'];
const RESUMED_WITHIN_MILLIS = 30_000;

makeSinks(2);
await beginning();
await throughput();
await resumption();
process.exit(0);

/** Measures the time from `transect launch` to the first frames sent. */
async function beginning(): Promise<void> {
  await using system = await System.start(root, 2);
  const times: { command: number; answer: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await pause(1000);
    const before = framesSent();
    const launching = system.launch('-p', '1-8', '-r', '10k');
    await until(() => framesSent() - before >= FIRST_FRAMES, 'a survey begins');
    const first = performance.now();
    const { survey, begun, answered } = await launching;
    times.push({ command: first - begun, answer: first - answered });
    await system.cancel(survey);
  }
  print(
    'From `transect launch` to the first probe sent (ms)',
    ['from', 'median', 'worst'],
    [
      ['the command’s start', ...summary(times.map(({ command }) => command))],
      ['its answer', ...summary(times.map(({ answer }) => answer))],
    ],
  );
}

/** Compares the rate of senders within the whole system with their rate alone, in alternating rounds. */
async function throughput(): Promise<void> {
  const rows: string[][] = [];
  for (const senders of [1, 2]) {
    const [alone, distributed]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(await rateAlone(senders));
      distributed.push(await rateDistributed(senders));
    }
    const ratios = distributed.map((rate, i) => rate / (alone[i] as number));
    rows.push([
      String(senders),
      ...[alone, distributed].map((rates) => Math.round(median(rates)).toLocaleString('en-US')),
      median(ratios).toFixed(3),
    ]);
  }
  const head = ['senders', 'one process', 'coordinator, broker, an agent each', 'ratio'];
  print('Probes per second, unlimited', head, rows);
}

async function rateAlone(senders: number): Promise<number> {
  const args = [OUR_SENDER, 'sink0', 'af-xdp', `${senders}`, '0', '60'];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const rate = await rateNow();
  await killed(child);
  return rate;
}

async function rateDistributed(agents: number): Promise<number> {
  await using system = await System.start(root, agents);
  const { survey } = await system.launch(...UNLIMITED);
  const rate = await rateNow();
  await system.cancel(survey);
  return rate;
}

/** Frames per second in a period that starts well after the first frames. */
async function rateNow(): Promise<number> {
  const before = framesSent();
  await until(() => framesSent() - before > 1000, 'sending begins');
  await pause(SETTLE_MILLIS);
  const from = { frames: framesSent(), at: performance.now() };
  await pause(WINDOW_MILLIS);
  return ((framesSent() - from.frames) * 1000) / (performance.now() - from.at);
}

/** Kills one of two agents, and measures the time until the other has leased each shard of the dead one. */
async function resumption(): Promise<void> {
  const rows: string[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await using system = await System.start(root, 1);
    const victim = await system.startAgent(1);
    const { survey } = await system.launch('-p', '1-100', '-r', '50k');
    const leases = async () => (await system.stores.leases.list(survey)).map(({ value }) => value);
    const isDeads = (lease: Lease) => lastEpoch(lease)?.agent.startsWith('v1') ?? false;
    const resumed = new Map<number, number>();
    await pause(6000 + 300 * round);
    await killed(victim);
    const diedAt = performance.now();
    const held = (await leases()).filter((lease) => lease.state === 'held' && isDeads(lease));
    const orphans = new Set(held.map(({ shard }) => shard));
    while (resumed.size < orphans.size && performance.now() < diedAt + RESUMED_WITHIN_MILLIS) {
      await pause(20);
      for (const lease of await leases()) {
        const isResumed = orphans.has(lease.shard) && !isDeads(lease) && !resumed.has(lease.shard);
        if (isResumed) resumed.set(lease.shard, performance.now() - diedAt);
      }
    }
    await system.cancel(survey);
    const times = [...resumed.values()].sort((a, b) => a - b);
    const seconds = (time: number | undefined) => ((time ?? Number.NaN) / 1000).toFixed(1);
    rows.push([String(orphans.size), seconds(times[0]), seconds(times.at(-1))]);
  }
  const head = ['shards it held', 'first resumed after (s)', 'last resumed after (s)'];
  print('After kill -9 of one of two agents at 50,000 probes/s', head, rows);
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null)
    await new Promise((resolve) => child.once('exit', resolve));
}

function summary(times: readonly number[]): string[] {
  return [median(times), Math.max(...times)].map((time) => time.toFixed(0));
}

function print(title: string, head: readonly string[], rows: readonly string[][]): void {
  console.log(`### ${title}\n`);
  for (const cells of [head, head.map(() => '---'), ...rows])
    console.log(`| ${cells.join(' | ')} |`);
  console.log('');
}
