/** Pacing: how exactly our sender keeps a rate, its CPU time, and how fast it stops. */
import { fileURLToPath } from 'node:url';
import { median } from '../harness.js';
import { ended, framesSent, pause, processorTime, SCANNER, SINK, startWithin } from './network.js';

const OURS = fileURLToPath(new URL('./our-sender.js', import.meta.url));
const RATES = [100, 1000, 10_000, 100_000, 1_000_000];
const SECONDS = 6;
const START_MILLIS = 1500;
const WINDOWS = 3;

export async function measurePacing(): Promise<Record<string, string>[]> {
  const rows: Record<string, string>[] = [];
  for (const rate of RATES) {
    const args = [OURS, SINK.device, 'af-xdp', '1', `${rate}`, `${SECONDS}`];
    const child = startWithin(SCANNER.namespace, process.execPath, ...args);
    let said = '';
    child.stdout?.on('data', (text: Buffer) => {
      said += text;
    });
    await pause(START_MILLIS);
    const errors: number[] = [];
    const loads: number[] = [];
    for (let i = 0; i < WINDOWS; i++) {
      const start = { frames: framesSent(SINK.device), at: performance.now() };
      const time = processorTime(child.pid ?? 0);
      await pause(1000);
      const probesSent = framesSent(SINK.device) - start.frames;
      const elapsed = (performance.now() - start.at) / 1000;
      errors.push(Math.abs(probesSent / elapsed / rate - 1));
      const used = processorTime(child.pid ?? 0);
      loads.push((used.user + used.system - time.user - time.system) / elapsed);
    }
    await ended(child);
    const { stopMillis } = JSON.parse(said);
    rows.push({
      'packets/s': rate.toLocaleString('en-US'),
      'off in the worst second (%)': (Math.max(...errors) * 100).toFixed(2),
      'processor (% of a core)': (median(loads) * 100).toFixed(1),
      'stop latency (ms)': stopMillis.toFixed(1),
    });
    process.stderr.write('.');
  }
  return rows;
}
