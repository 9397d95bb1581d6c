/** Compares transect and its peers as senders, one after another, without a rate limit; a bridge drops all frames. */
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { median } from '../harness.js';
import { framesSent, pause, processorTime, SCANNER, SINK, startWithin, stop } from './network.js';

const OURS = fileURLToPath(new URL('./our-sender.js', import.meta.url));
const FRAME_FILE = `/tmp/transect-bench-${process.pid}.cfg`;
const START_MILLIS_MAX = 5000;
const SETTLE_MILLIS = 500;
const WINDOW_MILLIS = 1200;

/** One SYN of 58 octets as a trafgen configuration. */
const FRAME = `{
  0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0,
  0x45, 0, 0, 0x2c, 0x12, 0x34, 0x40, 0, 0x40, 0x06, 0, 0, 0x64, 0x40, 0, 1, 0x64, 0x40, 9, 9,
  0xee, 0x48, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4
}`;

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
}

const ours = (transmit: string, senders: number, probe = 'tcp-syn') => [
  process.execPath,
  ...[OURS, SINK.device, transmit, `${senders}`, '0', '10', probe],
];
const CONTENDERS: readonly Contender[] = [
  { name: 'transect, af-xdp', command: ours('af-xdp', 1) },
  { name: 'transect, tx-ring', command: ours('tx-ring', 1) },
  { name: 'transect, sendmmsg', command: ours('packet', 1) },
  { name: 'transect, af-xdp, two senders', command: ours('af-xdp', 2) },
  { name: 'transect, af-xdp, icmp-echo', command: ours('af-xdp', 1, 'icmp-echo') },
  { name: 'transect, af-xdp, udp with a DNS question', command: ours('af-xdp', 1, 'udp') },
  {
    name: 'zmap, one thread',
    command: [
      ...['zmap', '-i', SINK.device, '-G', SINK.gateway, '-S', SINK.address, '-p', '80'],
      ...['-T', '1', '-r', '0', '-c', '0', '-o', '/dev/null', '--blacklist-file=/dev/null', '-q'],
      '100.64.0.0/10',
    ],
  },
  {
    name: 'masscan',
    command: [
      ...['masscan', '100.64.0.0/10', '-p1-64', '--rate', '100000000', '--adapter', SINK.device],
      ...['--source-ip', SINK.address, '--router-mac', SINK.gateway.replaceAll(':', '-')],
      ...['--wait', '0'],
    ],
  },
  {
    name: 'trafgen, one fixed frame',
    command: ['trafgen', '--in', FRAME_FILE, '--out', SINK.device, '--cpus', '1', '-q'],
  },
];

interface Figures {
  readonly rate: number;
  /** Nanoseconds of CPU time per probe. */
  readonly user: number;
  readonly system: number;
}

export async function compareSending(rounds: number): Promise<Record<string, string>[]> {
  writeFileSync(FRAME_FILE, FRAME);
  process.once('exit', () => rmSync(FRAME_FILE, { force: true }));
  const figures = new Map<string, Figures[]>(CONTENDERS.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of CONTENDERS) {
      figures.get(contender.name)?.push(await measure(contender));
      process.stderr.write('.');
    }
  }
  const middle = (name: string, read: (each: Figures) => number) =>
    median((figures.get(name) ?? []).map(read));
  const rateOf = (name: string) => middle(name, ({ rate }) => rate);
  return CONTENDERS.map(({ name }) => ({
    sender: name,
    'packets/s': Math.round(rateOf(name)).toLocaleString('en-US'),
    'user ns/probe': middle(name, ({ user }) => user).toFixed(0),
    'kernel ns/probe': middle(name, ({ system }) => system).toFixed(0),
    '÷ zmap': (rateOf(name) / rateOf('zmap, one thread')).toFixed(2),
    '÷ masscan': (rateOf(name) / rateOf('masscan')).toFixed(2),
    '÷ trafgen': (rateOf(name) / rateOf('trafgen, one fixed frame')).toFixed(2),
  }));
}

/** Measures frames and CPU time in a period that starts well after the first frame. */
async function measure({ name, command }: Contender): Promise<Figures> {
  const [program = '', ...args] = command;
  const before = framesSent(SINK.device);
  const child = startWithin(SCANNER.namespace, program, ...args);
  const pid = child.pid ?? 0;
  const deadline = performance.now() + START_MILLIS_MAX;
  while (framesSent(SINK.device) - before < 1000) {
    if (performance.now() > deadline) throw new Error(`${name} never began to send`);
    await pause(20);
  }
  await pause(SETTLE_MILLIS);
  const start = {
    frames: framesSent(SINK.device),
    time: processorTime(pid),
    at: performance.now(),
  };
  await pause(WINDOW_MILLIS);
  const end = { frames: framesSent(SINK.device), time: processorTime(pid), at: performance.now() };
  await stop(child);
  const frames = end.frames - start.frames;
  return {
    rate: (frames * 1000) / (end.at - start.at),
    user: ((end.time.user - start.time.user) * 1e9) / frames,
    system: ((end.time.system - start.time.system) * 1e9) / frames,
  };
}
