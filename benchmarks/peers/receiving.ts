/** Measures receiving: replies are replayed over a link at a higher rate than surveys cause. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ended, pause, SCANNER, startWithin, stop, TARGET } from './network.js';

const script = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url));
const RATE = 650_000;
const SECONDS = 5;
const INTERNET = fileURLToPath(new URL('../../test/lab/internet/main.js', import.meta.url));
const INTERNET_RATES = [100_000, 300_000, 350_000];

export async function measureReceiving(rounds: number): Promise<Record<string, string>[]> {
  const rows: Record<string, string>[] = [];
  for (let round = 1; round <= rounds; round++) {
    const seconds = `${SECONDS + 2}`;
    const receiver = startWithin(
      ...([SCANNER.namespace, process.execPath, script('our-receiver'), 'eth0', seconds] as const),
    );
    const received = lines(receiver);
    await until(receiver, /listening/);
    const replayer = startWithin(
      ...([TARGET.namespace, process.execPath, script('replayer')] as const),
      ...['eth0', `${RATE}`, `${SECONDS}`],
    );
    const replayed = lines(replayer);
    await Promise.all([ended(replayer), ended(receiver)]);
    const { sent } = JSON.parse((await replayed).at(-1) ?? '{}');
    const result = JSON.parse((await received).at(-1) ?? '{}');
    rows.push({
      round: `${round}`,
      'replies/s': Math.round(sent / SECONDS).toLocaleString('en-US'),
      replayed: sent.toLocaleString('en-US'),
      classified: result.classified.toLocaleString('en-US'),
      'dropped by kernel': `${result.framesDropped}`,
      'by interface': `${result.interfaceDropped}`,
      'user ns/reply': result.userNanos.toFixed(0),
    });
    process.stderr.write('.');
  }
  return rows;
}

/** How many probes the lab's simulated Internet answers, at several rates. */
export async function measureInternet(): Promise<Record<string, string>[]> {
  const rows: Record<string, string>[] = [];
  for (const rate of INTERNET_RATES) {
    const internet = startWithin(TARGET.namespace, process.execPath, INTERNET, 'eth0', '1');
    const said = lines(internet);
    await until(internet, /is up/);
    const flags = ['eth0', 'af-xdp', '1', `${rate}`, `${SECONDS}`];
    const sender = startWithin(
      ...([SCANNER.namespace, process.execPath, script('our-sender'), ...flags] as const),
    );
    await ended(sender);
    await pause(2500);
    await stop(internet);
    const { received, answered, framesDropped } = JSON.parse((await said).at(-1) ?? '{}');
    rows.push({
      'probes/s': rate.toLocaleString('en-US'),
      received: received.toLocaleString('en-US'),
      answers: answered.toLocaleString('en-US'),
      dropped: `${framesDropped}`,
    });
    process.stderr.write('.');
  }
  return rows;
}

/** Output of a program, line by line, once it has ended. */
async function lines(child: ChildProcess): Promise<string[]> {
  let text = '';
  child.stdout?.on('data', (octets: Buffer) => {
    text += octets;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return text.trim().split('\n');
}

function until(child: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (text: Buffer) => {
      if (pattern.test(text.toString())) resolve();
    });
    child.once('exit', () => reject(new Error(`the program ended before it printed ${pattern}`)));
  });
}
