/**
 * Counts the SYNs to a prefix in this network namespace with a kernel counter, which it reads often. Measures
 * the total, and the highest rate over any span of a second or more.
 */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SAMPLE_MILLIS = 100;

interface Sample {
  readonly count: number;
  /** The counter was read at some time between these two. */
  readonly asked: number;
  readonly answered: number;
}

export class SynCounter {
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(prefix: string) {
    const commands = [
      'add table inet census',
      'add counter inet census syns',
      'add chain inet census input { type filter hook input priority 0; }',
      `add rule inet census input ip daddr ${prefix} tcp flags & (syn | ack) == syn counter name syns`,
    ];
    execFileSync('nft', ['-f', '-'], { input: `${commands.join('\n')}\n` });
    this.#timer = setInterval(() => void this.#sample(), SAMPLE_MILLIS);
  }

  async #sample(): Promise<void> {
    const asked = performance.now();
    const { stdout } = await run('nft', ['-j', 'list', 'counter', 'inet', 'census', 'syns']);
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { packets: number } }[] };
    const count = nftables.find(({ counter }) => counter)?.counter?.packets ?? Number.NaN;
    this.#samples.push({ count, asked, answered: performance.now() });
  }

  /** Stops counting. @returns all SYNs, and the highest rate over any span of a second or more */
  async stop(): Promise<{ readonly total: number; readonly fastest: number }> {
    clearInterval(this.#timer);
    await this.#sample();
    const samples = this.#samples.sort((a, b) => a.asked - b.asked);
    let fastest = 0;
    for (const [i, last] of samples.entries()) {
      // The latest sample that is at least a second older than `last`. Longer spans need no check, because
      // they consist of such spans.
      const first = samples.findLast(({ answered }, j) => j < i && last.asked - answered >= 1000);
      if (first === undefined) continue;
      const seconds = (last.answered - first.asked) / 1000;
      fastest = Math.max(fastest, (last.count - first.count) / seconds);
    }
    return { total: samples.at(-1)?.count ?? 0, fastest };
  }
}
