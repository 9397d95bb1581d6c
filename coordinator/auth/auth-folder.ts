/**
 * The folder from which a broker is run: its configuration, its certificates, and the roster. Each change of the
 * roster rewrites the configuration, and the broker reads it at once.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { Disk } from '../../shared/host/disk.js';
import { type Login, loginToText } from '../../shared/login/login-file.js';
import { brokerConfig } from './broker-config.js';
import { makeCertificates, TLS_FILES } from './certificates.js';
import { type Roster, readRoster, writeRoster } from './roster.js';

/** How clients reach the broker. */
export interface AuthSettings {
  /** Names and addresses of the broker's host; the first one is given to clients. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly hasTls: boolean;
}

export interface AuthFolderDeps {
  readonly disk: Disk;
  readonly clock: Clock;
}

const FILES = {
  roster: 'roster.json',
  settings: 'settings.json',
  config: 'nats.conf',
  pid: 'nats.pid',
  log: 'nats.log',
  store: 'jetstream',
} as const;
const OCTETS_MAX = 1024 ** 2;
const FOLDER_MODE = 0o700;
const SERVER = 'nats-server';

const settingsShape = z.object({
  hosts: z.array(z.string()).min(1),
  port: z.number().int().min(1).max(65535),
  hasTls: z.boolean(),
});

export class AuthFolder {
  readonly path: string;
  readonly #deps: AuthFolderDeps;

  constructor(path: string, deps: AuthFolderDeps) {
    this.path = path;
    this.#deps = deps;
  }

  /** Path of the broker's configuration. */
  get config(): string {
    return this.#at('config');
  }

  /** Path of the file for the login of a name. */
  loginFile(name: string): string {
    return join(this.path, `${name}.login`);
  }

  /** Makes the folder, with certificates and an empty roster. @throws Fault UNWRITABLE if there is one already */
  async create(settings: AuthSettings): Promise<void> {
    const { disk } = this.#deps;
    if ((await disk.size(this.#at('roster'))) > 0) {
      const reason =
        'there is a roster already; change it with: transect auth invite, accept, revoke';
      throw new Fault('UNWRITABLE', reason, { flag: '--dir', file: this.path });
    }
    await mkdir(this.path, { recursive: true, mode: FOLDER_MODE });
    if (settings.hasTls) makeCertificates(this.path, settings.hosts);
    await disk.writeSecret(this.#at('settings'), `${JSON.stringify(settings, null, 2)}\n`);
    await this.write({ entries: [], invitations: [] });
  }

  async read(): Promise<Roster> {
    return await readRoster(this.#deps.disk, this.#at('roster'));
  }

  /** Writes the roster and the configuration, and lets a running broker read it. @returns whether one runs */
  async write(roster: Roster): Promise<boolean> {
    const { disk, clock } = this.#deps;
    const { hosts, port, hasTls } = await this.#settings();
    const settings = {
      listen: listenOn(hosts, port),
      store: this.#at('store'),
      pidFile: this.#at('pid'),
      logFile: this.#at('log'),
      tls: hasTls
        ? {
            certificate: join(this.path, TLS_FILES.certificate),
            key: join(this.path, TLS_FILES.key),
          }
        : undefined,
    };
    await writeRoster(disk, this.#at('roster'), roster);
    await disk.writeSecret(this.config, brokerConfig(settings, roster, clock.wall()));
    return await this.#reload();
  }

  /** A login to this broker, without the seed of its nkey. */
  async loginOf(name: string, kind: Login['kind']): Promise<Omit<Login, 'seed'>> {
    const { hosts, port, hasTls } = await this.#settings();
    const [host = ''] = hosts;
    const ca = hasTls
      ? await this.#deps.disk.read(join(this.path, TLS_FILES.authority), OCTETS_MAX)
      : '';
    const server = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    return { kind, name, servers: [server], ca: ca?.toString() ?? '' };
  }

  async writeLogin(file: string, login: Login): Promise<void> {
    await this.#deps.disk.writeSecret(file, loginToText(login));
  }

  async #settings(): Promise<AuthSettings> {
    const file = this.#at('settings');
    const text = await this.#deps.disk.read(file, OCTETS_MAX);
    if (text === undefined) {
      const reason = 'this folder is not one of a broker; make one with: transect auth init';
      throw new Fault('UNREADABLE_FILE', reason, { flag: '--dir', file });
    }
    return settingsShape.parse(JSON.parse(text.toString()));
  }

  /** @returns whether a broker runs with this configuration */
  async #reload(): Promise<boolean> {
    const pid = Number((await this.#deps.disk.read(this.#at('pid'), OCTETS_MAX))?.toString() ?? 0);
    if (!Number.isInteger(pid) || pid <= 1 || !isServer(pid, this.config)) return false;
    process.kill(pid, 'SIGHUP');
    return true;
  }

  #at(file: keyof typeof FILES): string {
    return join(this.path, FILES[file]);
  }
}

/** A broker whose only name is a loopback address listens there, any other one on all addresses. */
function listenOn(hosts: readonly string[], port: number): string {
  const [first = ''] = hosts;
  if (hosts.length === 1 && first.startsWith('127.')) return `${first}:${port}`;
  return hosts.some((host) => host.includes(':')) ? `[::]:${port}` : `0.0.0.0:${port}`;
}

/** True if a process is a NATS server with this configuration: the file of its id may be left from an earlier one. */
function isServer(pid: number, config: string): boolean {
  try {
    const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const folder = readlinkSync(`/proc/${pid}/cwd`);
    // The path may be relative, as in `-c nats.conf` and `--config=nats.conf`.
    const files = args.map((arg) => resolve(folder, arg.replace(/^--?\w+=/, '')));
    return program.endsWith(SERVER) && files.includes(resolve(config));
  } catch {
    return false;
  }
}
