/** Probes that are connections of the kernel, against real servers on the loopback. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verdictOn } from '../../agent/direct/connect-faults.js';
import { ConnectSender, type ConnectSources } from '../../agent/direct/connect-sender.js';
import { DirectJob } from '../../agent/direct/direct-job.js';
import { systemClock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { Plan } from '../../shared/survey/plan.js';
import { addressLists } from '../../shared/survey/policy/address-lists.js';
import { Space } from '../../shared/survey/space/space.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { KEY } from '../support/replies.js';

const CONNECTED = 0;
const REFUSED = 1;
const none = addressLists(Ranges.none, Ranges6.none);

/** Addresses from which the server was reached. */
const sources = new Set<string>();
let server: Server;
let port: number;
const open: ConnectSender[] = [];
const listeners: ChildProcess[] = [];
beforeEach(async () => {
  sources.clear();
  server = createServer((socket) => {
    // A connection that was reset before it is accepted has no remote address any more.
    if (socket.remoteAddress !== undefined) sources.add(socket.remoteAddress);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', 4096, resolve));
  port = (server.address() as { port: number }).port;
});
afterEach(async () => {
  for (const sender of open.splice(0)) await sender.close();
  for (const listener of listeners.splice(0)) listener.kill();
  server.close();
});

function senderFor(
  ports: readonly number[],
  blocked = none,
  sources: ConnectSources = {},
  timeout = 1000,
) {
  const space = Space.ofIpv4(Ranges.of([parseRange('127.77.0.0/25')]), ports);
  const plan = new Plan(space, '7', 256);
  const lists = { version: 0, excluded: none, own: blocked };
  const limits = { timeout, socketsMax: 1000 };
  const deps = { plan, clock: systemClock, blocked: lists, ...limits, sources };
  const sender = new ConnectSender(deps);
  open.push(sender);
  const outcomes = new Map<number, number>();
  sender.onOutcome = (position, place) => outcomes.set(position, place);
  return { sender, plan, outcomes };
}
/** A port that answers no SYN: nobody accepts its connections, and their queue is full. */
async function silentPort(): Promise<number> {
  const script = [
    'import socket, time',
    's = socket.socket()',
    's.bind(("0.0.0.0", 0))',
    's.listen(0)',
    'print(s.getsockname()[1], flush=True)',
    'time.sleep(20)',
  ].join('\n');
  const listener = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  listeners.push(listener);
  const [line] = await once(listener.stdout, 'data');
  return Number(String(line));
}

/** Connections to 127.77.0.0/16 whose SYN has no answer yet, as the kernel counts them. */
function handshakes(): number {
  const SYN_SENT = '02';
  const sockets = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return sockets.filter((line) => {
    const [, , remote = '', state] = line.trim().split(/\s+/);
    return /^[0-9A-F]{4}4D7F:/.test(remote) && state === SYN_SENT;
  }).length;
}

const until = async (isDone: () => boolean) => {
  for (let i = 0; i < 400 && !isDone(); i++) await systemClock.sleep(20);
};
const grant = (sender: ConnectSender, rate = 2000) =>
  sender.grant(rate, systemClock.monotonic() + 60_000, 0);

describe('a survey of connections', () => {
  test('sends nothing more to silent targets once it is paused, not even the kernel’s repeats', async () => {
    const { sender, plan } = senderFor([await silentPort()]);
    const sending = sender.send(0, plan.size, { key: KEY });
    grant(sender, 100);
    await until(() => sending.sentUpTo >= 30);
    expect(handshakes()).toBeGreaterThan(0);
    grant(sender, 0);
    expect(sending.hasEnded).toBe(false);
    await systemClock.sleep(1100);
    expect(handshakes()).toBe(0);
  });

  test('waits for late replies after its last probe, even if its rate is no longer granted', async () => {
    const { sender } = senderFor([await silentPort()], none, {}, 3000);
    const sending = sender.send(0, 16, { key: KEY });
    grant(sender);
    await until(() => sending.hasEnded);
    grant(sender, 0);
    await systemClock.sleep(1500);
    expect(handshakes()).toBeGreaterThan(0);
  });

  test('ends although a target is excluded in the instant in which it is tried', async () => {
    const { sender } = senderFor([await silentPort()]);
    const sending = sender.send(0, 16, { key: KEY });
    grant(sender);
    const all = addressLists(Ranges.of([parseRange('127.0.0.0/8')]), Ranges6.none);
    for (let version = 1; !sending.hasEnded && version < 400; version++) {
      process.nextTick(() => sender.setExclusions(version % 2 ? all : none, version));
      await systemClock.sleep(1);
    }
    sender.setExclusions(none, 1000);
    grant(sender);
    await until(() => sending.hasEnded);
    expect(sending.hasEnded).toBe(true);
  });

  test('ends connections in progress to targets that are excluded', async () => {
    const { sender, plan } = senderFor([await silentPort()]);
    const sending = sender.send(0, plan.size, { key: KEY });
    grant(sender);
    await until(() => sending.hasEnded);
    sender.setExclusions(addressLists(Ranges.of([parseRange('127.0.0.0/8')]), Ranges6.none), 1);
    await systemClock.sleep(50);
    expect(handshakes()).toBe(0);
  });

  test('connects from the source address that the operator has set', async () => {
    const { sender, plan, outcomes } = senderFor([port], none, { 4: '127.9.9.9' });
    const sending = sender.send(0, plan.size, { key: KEY });
    grant(sender);
    await until(() => sending.hasEnded && outcomes.size === plan.size);
    expect([...outcomes.values()].every((place) => place === CONNECTED)).toBe(true);
    expect(sources).toEqual(new Set(['127.9.9.9']));
  });

  test('distinguishes open ports from closed ones, and probes each target once', async () => {
    const closed = port === 65535 ? 1 : port + 1;
    const { sender, plan, outcomes } = senderFor([port, closed].sort((a, b) => a - b));
    const sending = sender.send(0, plan.size, { key: KEY });
    grant(sender);
    await until(() => sending.hasEnded && outcomes.size === plan.size);
    for (let position = 0; position < plan.size; position++) {
      const expected = plan.targetAt(position).port === port ? CONNECTED : REFUSED;
      expect(outcomes.get(position)).toBe(expected);
    }
    expect([sending.sentUpTo, sending.probesSent]).toEqual([256, 256]);
    expect(sending.takeUnsent()).toEqual([]);
  });

  test('keeps to the rate, and sends nothing without a grant', async () => {
    const { sender, plan, outcomes } = senderFor([port]);
    const sending = sender.send(0, plan.size, { key: KEY });
    await systemClock.sleep(200);
    expect(sending.sentUpTo).toBe(0);
    grant(sender, 100);
    await systemClock.sleep(500);
    expect(outcomes.size).toBeGreaterThan(20);
    expect(sender.totals.probesSent).toBeLessThan(70);
  });

  test('holds back what is blocked', async () => {
    const blocked = addressLists(Ranges.of([parseRange('127.77.0.0/26')]), Ranges6.none);
    const { sender, plan, outcomes } = senderFor([port], blocked);
    const sending = sender.send(0, plan.size, { key: KEY });
    grant(sender);
    await until(() => sending.hasEnded && outcomes.size === 64);
    expect(outcomes.size).toBe(64);
    expect(sending.takeUnsent().map(({ code }) => code)).toEqual(Array(64).fill(UNSENT.BLOCKED));
  });

  test('retries targets to which this host could not open a connection, and never reports them as silent', async () => {
    const { sender, plan, outcomes } = senderFor([port]);
    const { pid } = process;
    const before = execFileSync('prlimit', [
      '--pid',
      `${pid}`,
      '--nofile',
      '--raw',
      '-o',
      'SOFT',
      '--noheadings',
    ]);
    const limit = (files: string | number) => `prlimit --pid ${pid} --nofile=${files}:`;
    const sending = sender.send(0, plan.size, { key: KEY });
    // Another process restores the limit, because this one cannot open anything until then.
    const restoring = spawn('sh', ['-c', `sleep 0.4; ${limit(before.toString().trim())}`]);
    execFileSync('sh', ['-c', limit(readdirSync('/proc/self/fd').length + 8)]);
    grant(sender, 1_000_000); // all at once
    await until(() => (sender.totals.sendErrors['EMFILE'] ?? 0) > 0);
    expect(sending.sentUpTo).toBeLessThan(plan.size);
    await new Promise((resolve) => restoring.once('exit', resolve));
    await until(() => sending.hasEnded && outcomes.size === plan.size);
    expect(sender.totals.sendErrors['EMFILE']).toBeGreaterThan(0);
    const unsent = sending.takeUnsent();
    expect(outcomes.size + unsent.length).toBe(plan.size);
    expect([...outcomes.values()].every((place) => place === CONNECTED)).toBe(true);
    expect(unsent.every(({ code }) => code === UNSENT.SEND_FAILED)).toBe(true);
  });
});

describe('a job of connections', () => {
  test('does not count a position that this host cannot try as sent until the job gives up on it', () => {
    const job = new DirectJob(0, 3, undefined);
    expect([job.take(0), job.take(0), job.take(0), job.take(0)]).toEqual([0, 1, 2, undefined]);
    for (const position of [0, 1, 2]) job.onTry(position);
    expect([job.sentUpTo, job.hasEnded]).toEqual([0, false]);
    for (const position of [0, 2]) job.onSent(position);
    let now = 0;
    job.onLocalFault(1, now);
    expect([job.sentUpTo, job.hasEnded]).toEqual([1, false]);
    for (let attempt = 1; attempt < LIMITS.sendTries; attempt++) {
      expect(job.take(now)).toBeUndefined();
      now += 10_000;
      expect(job.take(now)).toBe(1);
      job.onTry(1);
      job.onLocalFault(1, now);
    }
    expect([job.sentUpTo, job.hasEnded]).toEqual([3, true]);
    expect(job.takeUnsent()).toEqual([{ position: 1, code: UNSENT.SEND_FAILED }]);
  });

  test('repeats only what is silent', () => {
    const classes = Uint8Array.of(0, 1, 0, 2);
    const job = new DirectJob(10, 14, { classes, classesFrom: 10 });
    expect([job.take(0), job.take(0), job.take(0)]).toEqual([10, 12, undefined]);
  });
});

describe('an error of connect(2)', () => {
  test.each([
    ['ECONNREFUSED', false, { kind: 'reply', place: 1 }],
    ['EHOSTUNREACH', false, { kind: 'reply', place: 2 }],
    ['ETIMEDOUT', false, { kind: 'silent' }],
    ['ENETUNREACH', true, { kind: 'unsent', code: UNSENT.UNROUTABLE }],
    ['EACCES', true, { kind: 'unsent', code: UNSENT.FIREWALLED }],
    ...['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN'].map(
      (code) => [code, true, { kind: 'retry' }] as const,
    ),
    ['EWHATEVER', true, { kind: 'unsent', code: UNSENT.SEND_FAILED }],
  ] as const)('%s (at once: %s) is read as %o', (code, isImmediate, verdict) => {
    expect(verdictOn(code, isImmediate)).toEqual(verdict);
  });
});
