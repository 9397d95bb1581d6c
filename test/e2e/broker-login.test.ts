/** Authentication methods of NATS, on a real server; and the errors when a login is refused. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { scratch } from '../support/scan.js';
import { shell } from '../support/shell.js';

const SECRET = 'sEcReT-4711';
/** A user nkey, made for this test: seed and public key. */
const SEED = 'SUACH75SWCM5D2JMJM6EKLR2WDARVGZT4QC6LX3AGHSWOMVAKERABBBRWM';
const PUBLIC = 'UAFHG6FUD2UU4SDFVAFUL5LDFO2XM4WYM76UNXTPJYJK7EEMYRBHT2VE';

let folder: Awaited<ReturnType<typeof scratch>>;
const servers: ReturnType<typeof spawn>[] = [];
const at = (name: string) => join(folder.path, name);

/** @param config further settings of the server @returns `host:port` */
async function serve(name: string, config: string): Promise<string> {
  const ports = at(`${name}.server`);
  execFileSync('mkdir', ['-p', ports]);
  const common = `listen: "127.0.0.1:-1"\nports_file_dir: "${ports}"\njetstream { store_dir: "${ports}/js" }\n`;
  await writeFile(at(`${name}.conf`), common + config);
  const server = spawn('nats-server', ['-c', at(`${name}.conf`)], { stdio: 'ignore' });
  servers.push(server);
  for (let i = 0; i < 250; i++) {
    const file = join(ports, `nats-server_${server.pid}.ports`);
    try {
      const { nats } = JSON.parse(readFileSync(file, 'utf8')) as { nats: string[] };
      return (nats[0] as string).replace(/^\w+:\/\//, '');
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error(`nats-server ${name} did not start`);
}

const run = (line: string, environment: Record<string, string> = {}) =>
  shell(line, folder.path, environment);
/** The broker was reached if the error is that there is no coordinator. */
const REACHED = { code: EXIT.NO_ANSWER, said: /no coordinator answers/ };
const REFUSED = { code: EXIT.NO_BROKER, said: /rejects|requires a login/ };

async function expectOutcome(
  line: string,
  { code, said }: typeof REACHED | typeof REFUSED,
  environment: Record<string, string> = {},
) {
  const outcome = await run(line, environment);
  expect(outcome.stderr).toMatch(said);
  expect(outcome.code).toBe(code);
  expect(outcome.stdout + outcome.stderr).not.toContain(SECRET);
  expect(outcome.stderr).not.toContain(SEED);
}

let password: string;
let token: string;
let nkey: string;
let tls: string;
let plain: string;

beforeAll(async () => {
  folder = await scratch();
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder.path, stdio: 'pipe' });
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    'key.pem',
    '-out',
    'cert.pem',
    ...subject,
  );
  await writeFile(at('password'), `${SECRET}\n`);
  await writeFile(at('wrong'), 'another\n');
  await writeFile(at('seed'), SEED);
  await writeFile(at('empty'), '');
  password = await serve('password', `authorization { user: scan, password: "${SECRET}" }`);
  token = await serve('token', `authorization { token: "${SECRET}" }`);
  nkey = await serve('nkey', `authorization { users: [{ nkey: ${PUBLIC} }] }`);
  tls = await serve(
    'tls',
    `tls { cert_file: "${at('cert.pem')}", key_file: "${at('key.pem')}", ca_file: "${at('cert.pem')}", verify: true }`,
  );
  plain = await serve('plain', '');
}, 60_000);
afterAll(async () => {
  for (const server of servers) server.kill('SIGKILL');
  await folder[Symbol.asyncDispose]();
});

describe('a broker', () => {
  test('is reached by name and password: flags, variables, URL', async () => {
    const url = `nats://${password}`;
    const flags = `$T status --nats ${url} --nats-user scan --nats-password-file`;
    await expectOutcome(`${flags} password`, REACHED);
    await expectOutcome(`${flags} wrong`, REFUSED);
    await expectOutcome(`$T status --nats ${url}`, REFUSED);
    await expectOutcome(`$T status --nats nats://scan:${SECRET}@${password}`, REACHED);
    await expectOutcome(`$T status`, REACHED, {
      TRANSECT_NATS: url,
      TRANSECT_NATS_USER: 'scan',
      TRANSECT_NATS_PASSWORD: SECRET,
    });
  }, 60_000);

  test('is reached by token', async () => {
    await expectOutcome(`$T status --nats nats://${token} --nats-token-file password`, REACHED);
    await expectOutcome(`$T status --nats nats://${token} --nats-token-file wrong`, REFUSED);
    await expectOutcome(`$T status --nats nats://${SECRET}@${token}`, REACHED);
  }, 60_000);

  test('is reached by nkey', async () => {
    await expectOutcome(`$T status --nats nats://${nkey} --nats-nkey seed`, REACHED);
    await expectOutcome(`$T status --nats nats://${nkey}`, REFUSED);
  }, 60_000);

  test('is reached by TLS only if both sides have certificates', async () => {
    const flags = `$T status --nats tls://${tls} --nats-ca cert.pem`;
    await expectOutcome(`${flags} --nats-cert cert.pem --nats-key key.pem`, REACHED);
    for (const line of [flags, `$T status --nats tls://${tls}`, `$T status --nats nats://${tls}`]) {
      const { code, stderr } = await run(line);
      expect([code, stderr.split('\n').length], stderr).toEqual([EXIT.NO_BROKER, 2]);
    }
  }, 60_000);

  test('that offers no TLS is refused if TLS is requested', async () => {
    const { code, stderr } = await run(`$T status --nats tls://${plain}`);
    expect(stderr).toMatch(/TLS/);
    expect(code).toBe(EXIT.NO_BROKER);
  }, 60_000);

  test('that is unreachable is reported differently from one that refuses', async () => {
    const { code, stderr } = await run('$T status --nats nats://127.0.0.1:1');
    expect(stderr).toMatch(/no NATS server answers/);
    expect(code).toBe(EXIT.NO_BROKER);
  }, 60_000);

  test.each([
    ['nats://scan:half@sEcReT-4711@HOST', 'the rest of a password that has an @ in it'],
    ['nats://scan:sEcReT-4711@HOST:99999', 'a password before a bad port'],
    ['http://scan:sEcReT-4711@HOST', 'a password in a URL of another scheme'],
    ['nats://u:sEcReT-4711,x@HOST', 'a password with a comma'],
    ['scan:sEcReT-4711@HOST:1:1', 'a password without a scheme'],
  ])(
    'with the URL %s causes an error that does not reveal %s',
    async (url) => {
      const { stdout, stderr, code } = await run(
        `$T status --nats '${url.replace('HOST', password)}'`,
      );
      expect(code).not.toBe(0);
      expect(stdout + stderr).not.toMatch(/sEcReT|half/);
    },
    60_000,
  );

  test.each(['token-file', 'nkey', 'creds'])(
    'is not contacted if --nats-%s names an empty file',
    async (flag) => {
      const { stderr, code } = await run(`$T status --nats nats://${plain} --nats-${flag} empty`);
      expect(stderr).toContain(`--nats-${flag}`);
      expect(code).toBe(EXIT.USAGE);
    },
    60_000,
  );

  test('can be reached without exposing a secret in the list of processes', async () => {
    const line = `$T coordinator --data d --nats nats://scan:${SECRET}@${password} 2>log & P=$!
      for i in $(seq 100); do grep -q leading log && break; sleep 0.1; done
      tr '\\0' ' ' < /proc/$P/cmdline; cat log; kill $P; wait $P`;
    const { stdout } = await run(line);
    expect(stdout).toContain('leading');
    expect(stdout).not.toContain(SECRET);
  }, 60_000);
});
