/** Retransmission over a link that loses one packet in twenty, in both directions. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const LISTENER = join(ROOT, 'test/support/listener.mjs');
/** Nine of ten addresses answer; packets to the last tenth are dropped. */
const ADDRESSES = 40_960;
const ALIVE = 36_864;

describe.skipIf(labIsMissing())('a survey over a link that loses 5 % both ways', () => {
  let lab: Lab;
  let prober: Host;
  let folder: string;

  beforeAll(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-repeats-'));
    const target = await lab.host('target');
    prober = await lab.host('prober');
    await target.answerFor('198.18.0.0/16');
    await target.run(
      'nft',
      `table ip lab {
         chain input {
           type filter hook input priority 0; policy accept;
           ip daddr 198.18.144.0-198.18.159.255 drop
           tcp dport 8080 numgen random mod 20 < 1 drop
         }
         chain output {
           type filter hook output priority 0; policy accept;
           tcp sport 8080 numgen random mod 20 < 1 drop
         }
       }`,
    );
    await target.start('node', LISTENER, '8080').says(/listening/);
    await prober.routeVia('198.18.0.0/16', target);
  }, 60_000);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function found(probes: number): Promise<{ rows: number; probesSent: number }> {
    const data = join(folder, String(probes));
    const { stdout } = await prober.run(
      TRANSECT,
      ...['scan', '198.18.0.0-198.18.159.255', '-p', '8080', '-P', String(probes)],
      ...['--allow-special', '198.18.0.0/15', '-r', '20k', '-c', '2s', '-q', '--no-header-row'],
      ...['--data', data],
    );
    const addresses = stdout.trim().split('\n');
    expect(new Set(addresses).size).toBe(addresses.length);
    const [survey = ''] = (await prober.run('ls', data)).stdout.trim().split('\n');
    const manifest = JSON.parse(await readFile(join(data, survey, 'manifest.json'), 'utf8'));
    const verdict = await prober.run(TRANSECT, 'verify', join(data, survey), '--json');
    expect(JSON.parse(verdict.stdout)).toMatchObject({ targetsCovered: ADDRESSES, violations: 0 });
    return { rows: addresses.length, probesSent: manifest.counts.probesSent };
  }

  test('finds 99.85 % of the hosts with three probes per target, which take at most 1.32 times the packets of one probe per target', {
    timeout: 120_000,
  }, async () => {
    const once = await found(1);
    const thrice = await found(3);
    expect(once.probesSent).toBe(ADDRESSES);
    expect(once.rows / ALIVE).toBeLessThan(0.96);
    expect(thrice.rows / ALIVE).toBeGreaterThanOrEqual(0.9985);
    expect(thrice.probesSent / once.probesSent).toBeLessThanOrEqual(1.32);
  });
});
