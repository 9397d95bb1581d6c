/**
 * Broker address and login: the same flags and variables in all commands. A flag overrides its variable, and
 * both override the URL. Secrets are in files, variables, or the URL of TRANSECT_NATS or stdin; a URL with a secret
 * on the command line is removed from the process list at once.
 */
import { readFileSync, readSync } from 'node:fs';
import type { Command } from 'commander';
import { describeError, Fault } from '../base/faults.js';
import type { BrokerAccess, BrokerLogin, BrokerTls } from '../bus/broker-access.js';
import { accessOf, type LoginKind, readLogin } from '../login/login-file.js';
import { option } from './program.js';

const DEFAULT_URL = 'nats://127.0.0.1:4222';
const DEFAULT_PORT = '4222';
const STDIN = '-';
const URL_OCTETS_MAX = 16_384;
const URL_FORM = /^(?:(\w+):\/\/)?(?:([^@]*)@)?(\[[0-9a-f:.]+\]|[^:/@[\]]+)(?::(\d{1,5}))?\/?$/i;

/** The flags below, as commander parses them. */
export interface BrokerFlags {
  readonly login?: string;
  readonly nats: string;
  readonly natsUser?: string;
  readonly natsPasswordFile?: string;
  readonly natsTokenFile?: string;
  readonly natsNkey?: string;
  readonly natsCreds?: string;
  readonly natsCa?: string;
  readonly natsCert?: string;
  readonly natsKey?: string;
}

type FileFlag = Exclude<keyof BrokerFlags, 'login' | 'nats' | 'natsUser'>;

const FLAGS = {
  login: '--login',
  nats: '--nats',
  natsUser: '--nats-user',
  natsPasswordFile: '--nats-password-file',
  natsTokenFile: '--nats-token-file',
  natsNkey: '--nats-nkey',
  natsCreds: '--nats-creds',
  natsCa: '--nats-ca',
  natsCert: '--nats-cert',
  natsKey: '--nats-key',
} as const satisfies Record<keyof BrokerFlags, string>;

export function addBrokerOptions(command: Command): Command {
  const about =
    'the NATS server, or a comma-separated list; tls:// requires TLS; - reads it from stdin';
  const options = [
    option(
      '--login <file>',
      'login file, as made by transect auth: it names the broker, and who we are',
    ).env('TRANSECT_LOGIN'),
    option('--nats <url>', about, undefined, DEFAULT_URL).env('TRANSECT_NATS'),
    option('--nats-user <name>', 'log in with this user name and a password').env(
      'TRANSECT_NATS_USER',
    ),
    option(
      '--nats-password-file <file>',
      'the password is in this file (or in TRANSECT_NATS_PASSWORD)',
    ),
    option(
      '--nats-token-file <file>',
      'log in with the token in this file (or in TRANSECT_NATS_TOKEN)',
    ),
    option('--nats-nkey <file>', 'log in with the nkey whose seed is in this file').env(
      'TRANSECT_NATS_NKEY',
    ),
    option('--nats-creds <file>', 'log in with the credentials in this file').env(
      'TRANSECT_NATS_CREDS',
    ),
    option(
      '--nats-ca <file>',
      'certificate authorities that may sign the server’s certificate (PEM)',
    ).env('TRANSECT_NATS_CA'),
    option('--nats-cert <file>', 'our certificate (PEM)').env('TRANSECT_NATS_CERT'),
    option('--nats-key <file>', 'private key of our certificate (PEM)').env('TRANSECT_NATS_KEY'),
  ];
  for (const each of options) command.addOption(each);
  return command;
}

/**
 * @param kind of the login file
 * @throws Fault BAD_OPTION or UNREADABLE_FILE, neither of which contains a secret
 */
export function brokerAccess(
  flags: BrokerFlags,
  kind: LoginKind,
  environment: NodeJS.ProcessEnv = process.env,
): BrokerAccess {
  if (flags.login !== undefined)
    return accessOf(readLogin(flags.login, kind, FLAGS.login), FLAGS.login);
  if (flags.nats.includes('@')) hideArguments();
  const nats = flags.nats === STDIN ? readStdin() : flags.nats;
  const urls = nats.split(',').map((text) => parseUrl(text.trim(), withoutSecrets(nats)));
  const logins = urls.flatMap(({ login }) => (login === undefined ? [] : [login]));
  const tls = tlsOf(flags, urls);
  return {
    servers: urls.map(({ server }) => server),
    login: loginOf(flags, environment) ?? logins[0],
    tls,
    flag: FLAGS.nats,
  };
}

/** Our environment for a child process, with this broker (which may contain a login) instead of any of ours. */
export function environmentFor(nats: string): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(
    ([name]) => !/^TRANSECT_(NATS|LOGIN)/.test(name),
  );
  return { ...Object.fromEntries(others), TRANSECT_NATS: nats };
}

/** The URL of a broker with a login by user and password, for the stdin of a child process. */
export function urlWithLogin(
  { servers }: BrokerAccess,
  { user, password }: { readonly user: string; readonly password: string },
): string {
  return servers.map((server) => `nats://${user}:${password}@${server}`).join(',');
}

/** Reads the first line of stdin. @throws Fault UNREADABLE_FILE, or BAD_OPTION if the line is too long */
function readStdin(): string {
  const line = Buffer.alloc(URL_OCTETS_MAX);
  let length = 0;
  try {
    while (length < line.length && !line.subarray(0, length).includes('\n')) {
      const read = readSync(0, line, length, line.length - length, null);
      if (read === 0) break;
      length += read;
    }
  } catch (cause) {
    const reason = `cannot read stdin: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag: FLAGS.nats, value: STDIN }, cause);
  }
  const [first = ''] = line.toString('utf8', 0, length).split('\n');
  if (first.length < URL_OCTETS_MAX) return first.trim();
  throw new Fault('BAD_OPTION', 'the first line of stdin is too long for a URL', {
    flag: FLAGS.nats,
    value: STDIN,
  });
}

interface ParsedUrl {
  readonly server: string;
  readonly isTls: boolean;
  readonly login: BrokerLogin | undefined;
}

/** The part of a value that may be shown: only the text after its last @, because a secret may itself contain one. */
function withoutSecrets(text: string): string {
  const at = text.lastIndexOf('@');
  return at < 0 ? text : `…${text.slice(at)}`;
}

/** Reads `nats://user:password@host:port`, `nats://token@host`, `tls://host` or `host:port`. */
function parseUrl(text: string, shown: string): ParsedUrl {
  const match = URL_FORM.exec(text);
  const [, scheme = 'nats', secret, host, port = DEFAULT_PORT] = match ?? [];
  if (host === undefined || Number(port) > 65535) {
    const reason =
      'a NATS server is given as nats://host:port or tls://host:port; write an @ within a login as %40';
    throw new Fault('BAD_OPTION', reason, { flag: FLAGS.nats, value: shown });
  }
  if (scheme !== 'nats' && scheme !== 'tls') {
    const reason = `the URL must begin with nats:// or tls://, not with ${scheme}://`;
    throw new Fault('BAD_OPTION', reason, { flag: FLAGS.nats, value: shown });
  }
  const login = secret === undefined ? undefined : secretLogin(secret, shown);
  return { server: `${host}:${port}`, isTls: scheme === 'tls', login };
}

function secretLogin(secret: string, shown: string): BrokerLogin {
  try {
    const [user = '', ...rest] = secret.split(':').map(decodeURIComponent);
    if (rest.length === 0) return { kind: 'token', token: user };
    return { kind: 'password', user, password: rest.join(':') };
  } catch {
    const reason = 'the login in the URL is not percent-encoded';
    throw new Fault('BAD_OPTION', reason, { flag: FLAGS.nats, value: shown });
  }
}

/** @throws Fault BAD_OPTION if several logins are given */
function loginOf(flags: BrokerFlags, environment: NodeJS.ProcessEnv): BrokerLogin | undefined {
  const password = secretOf(flags, 'natsPasswordFile', environment['TRANSECT_NATS_PASSWORD']);
  const token = secretOf(flags, 'natsTokenFile', environment['TRANSECT_NATS_TOKEN']);
  const seed = secretOf(flags, 'natsNkey', environment['TRANSECT_NATS_SEED']);
  const creds = secretOf(flags, 'natsCreds', undefined);
  const { natsUser: user } = flags;
  if (user === undefined && password !== undefined) {
    const reason = 'a password needs a user: --nats-user, or TRANSECT_NATS_USER';
    throw new Fault('BAD_OPTION', reason, { flag: FLAGS.natsPasswordFile });
  }
  if (user !== undefined && password === undefined) {
    const reason = 'a user needs a password: --nats-password-file, or TRANSECT_NATS_PASSWORD';
    throw new Fault('BAD_OPTION', reason, { flag: FLAGS.natsUser, value: user });
  }
  const logins: BrokerLogin[] = [];
  if (user !== undefined && password !== undefined)
    logins.push({ kind: 'password', user, password });
  if (token !== undefined) logins.push({ kind: 'token', token });
  if (seed !== undefined) logins.push({ kind: 'nkey', seed });
  if (creds !== undefined) logins.push({ kind: 'creds', text: creds });
  if (logins.length > 1) {
    const kinds = logins.map(({ kind }) => kind).join(' and ');
    const reason = `several logins are given (${kinds}): use one`;
    throw new Fault('BAD_OPTION', reason, { flag: FLAGS.nats });
  }
  return logins[0];
}

function tlsOf(flags: BrokerFlags, urls: readonly ParsedUrl[]): BrokerTls | undefined {
  const ca = fileOf(flags, 'natsCa');
  const certificate = fileOf(flags, 'natsCert');
  const key = fileOf(flags, 'natsKey');
  if ((certificate === undefined) !== (key === undefined)) {
    const flag = certificate === undefined ? FLAGS.natsKey : FLAGS.natsCert;
    throw new Fault('BAD_OPTION', 'a certificate and its key go together', { flag });
  }
  const isGiven = ca !== undefined || certificate !== undefined;
  return isGiven || urls.some(({ isTls }) => isTls) ? { ca, certificate, key } : undefined;
}

function secretOf(
  flags: BrokerFlags,
  name: FileFlag,
  variable: string | undefined,
): string | undefined {
  const text = fileOf(flags, name)?.trim();
  if (text === '') {
    throw new Fault('BAD_OPTION', 'the file is empty', {
      flag: FLAGS[name],
      file: flags[name] ?? '',
    });
  }
  return text ?? (variable || undefined);
}

function fileOf(flags: BrokerFlags, name: FileFlag): string | undefined {
  const file = flags[name];
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = `cannot read the file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag: FLAGS[name], file }, cause);
  }
}

/** Overwrites the arguments of this process, because the process list shows them to everyone on the host. */
function hideArguments(): void {
  if (process.argv.some((text) => text.includes('@'))) process.title = 'transect';
}
