/** A broker whose configuration has a thousand agents: there is no other mode for many of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { brokerConfig } from '../../coordinator/auth/broker-config.js';
import { type Roster, type RosterEntry, without } from '../../coordinator/auth/roster.js';
import { loginOptions } from '../../shared/bus/nats/login.js';
import { newNkey } from '../../shared/bus/nats/nkeys.js';

const AGENTS = 1000;
const CONNECTED = 100;
const STARTS_MILLIS = 10_000;
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

let folder: string;
let broker: ChildProcess;
let port: number;
const keys = Array.from({ length: AGENTS }, newNkey);
const roster: Roster = {
  invitations: [],
  entries: keys.map(({ key }, i): RosterEntry => {
    const since = '2026-01-01T00:00:00Z';
    return { name: `agent${i}`, kind: 'agent', key, roles: [], since };
  }),
};

async function configure(current: Roster): Promise<void> {
  const files = { store: join(folder, 'js'), pidFile: join(folder, 'pid') };
  const settings = { ...files, logFile: join(folder, 'log'), tls: undefined };
  const text = brokerConfig({ ...settings, listen: `127.0.0.1:${port}` }, current, Date.now());
  await writeFile(join(folder, 'nats.conf'), text);
}

async function login(agent: number): Promise<NatsConnection> {
  const seed = keys[agent]?.seed ?? '';
  const access = { servers: [`127.0.0.1:${port}`], login: { kind: 'nkey', seed } as const };
  return await connect({ ...loginOptions(access), reconnect: false });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'transect-logins-'));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as { port: number }).port;
  server.close();
  await configure(roster);
  broker = spawn('nats-server', ['-c', join(folder, 'nats.conf')], { stdio: 'ignore' });
  const until = performance.now() + STARTS_MILLIS;
  for (;;) {
    const client = await login(0).catch(() => undefined);
    await client?.close();
    if (client !== undefined) return;
    if (performance.now() > until) throw new Error('the broker does not start');
    await pause(50);
  }
}, 20_000);

afterAll(async () => {
  broker.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

test('a broker with a thousand agents cuts the one that is revoked within a second, and no other', async () => {
  const revoked = await login(0);
  const others: NatsConnection[] = [];
  for (let i = 1; i <= CONNECTED; i++) others.push(await login(i));
  await configure(without(roster, 'agent0'));
  const begun = performance.now();
  broker.kill('SIGHUP');
  await revoked.closed();
  expect(performance.now() - begun).toBeLessThan(1000);
  await expect(login(0)).rejects.toThrow(/authoriz/i);
  for (const client of others) await client.flush();
  expect(others.every((client) => !client.isClosed())).toBe(true);
  for (const client of others) await client.close();
}, 20_000);
