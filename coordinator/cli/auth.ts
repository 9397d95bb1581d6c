/** `transect auth`: who may log in to the broker. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isoTime, systemClock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { controlBus } from '../../shared/bus/nats/nats-bus.js';
import { isPublicKey, newNkey } from '../../shared/bus/nats/nkeys.js';
import { command, option } from '../../shared/command/program.js';
import { systemDisk } from '../../shared/host/disk.js';
import { join } from '../../shared/login/join.js';
import { invitationOf, tokenOf } from '../../shared/login/join-token.js';
import { accessOf, LOGIN_NAME, type LoginKind, readLogin } from '../../shared/login/login-file.js';
import { parseDuration } from '../../shared/survey/quantities.js';
import { AuthFolder } from '../auth/auth-folder.js';
import { ROLE_NAMES, type Role, type RosterEntry, withEntry, without } from '../auth/roster.js';
import { formatTable, printNote, printOut } from './output/print.js';

const DEFAULT_DIR = 'transect-auth';
const DEFAULT_PORT = 4222;
const DEFAULT_VALID = '1h';
const COORDINATOR = 'coordinator';
const OPERATOR = 'operator';

interface DirFlag {
  readonly dir: string;
}

interface MemberFlags extends DirFlag {
  readonly roles?: readonly Role[];
  readonly coordinator?: boolean;
}

export function authCommand(): Command {
  const made = command('auth', 'decide who may log in to the broker');
  const named = (name: string, about: string) =>
    withDir(command(name, about)).argument(
      '<name>',
      'of the agent, person or coordinator',
      parseName,
    );
  made.addCommand(
    withDir(command('init', 'make a broker’s configuration, its certificates and an empty roster'))
      .addOption(
        option(
          '--host <names>',
          'names and addresses of the broker’s host, separated by commas',
          parseHosts,
          ['127.0.0.1'],
        ),
      )
      .addOption(option('--port <port>', 'port of the broker', parsePort, DEFAULT_PORT))
      .addOption(option('--no-tls', 'do without TLS: for a broker on loopback only'))
      .action(init),
  );
  const member = (one: Command) =>
    one
      .addOption(
        option(
          '--roles <roles>',
          `a person with these roles: ${ROLE_NAMES.join(', ')}`,
          parseRoles,
        ),
      )
      .addOption(option('--coordinator', 'a coordinator'));
  made.addCommand(
    member(
      named('invite', 'print a join token, by which a new host or person can ask to be accepted'),
    )
      .addOption(
        option(
          '--valid <duration>',
          'how long the token is valid',
          parseDuration,
          parseDuration(DEFAULT_VALID),
        ),
      )
      .action(invite),
  );
  made.addCommand(
    named('accept', 'accept the key of somebody who was invited, or who asks for another key')
      .addOption(
        option(
          '--key <key>',
          'the public key; by default, the one that the coordinator has received',
          parseKey,
        ),
      )
      .action(accept),
  );
  made.addCommand(
    member(named('add', 'make a login file here, for somebody who cannot use a token'))
      .addOption(
        option('-o, --output-file <file>', 'the login file; by default, NAME.login in the folder'),
      )
      .action(add),
  );
  made.addCommand(named('revoke', 'cut somebody off at once').action(revoke));
  made.addCommand(withDir(command('list', 'list who may log in')).action(listRoster));
  made.addCommand(
    command('join', 'make a login from a join token, as a person; hosts use transect-agent join')
      .argument('<token>', 'as printed by transect auth invite')
      .requiredOption('-o, --output-file <file>', 'the login file to write')
      .addOption(
        option(
          '--wait <duration>',
          'how long to wait for an operator',
          parseDuration,
          parseDuration(DEFAULT_VALID),
        ),
      )
      .action(joinAsPerson),
  );
  return made;
}

async function init(
  flags: DirFlag & { host: readonly string[]; port: number; tls: boolean },
): Promise<void> {
  const folder = folderOf(flags);
  const isLocal = flags.host.every((host) => /^(127\.|::1$|localhost$)/.test(host));
  if (!flags.tls && !isLocal) {
    const reason = 'without TLS, anybody on the way reads and changes all messages';
    throw new Fault('BAD_OPTION', reason, { flag: '--no-tls', value: flags.host.join(',') });
  }
  await folder.create({ hosts: flags.host, port: flags.port, hasTls: flags.tls });
  await addMember(folder, COORDINATOR, 'coordinator', [], folder.loginFile(COORDINATOR));
  await addMember(folder, OPERATOR, 'person', ROLE_NAMES, folder.loginFile(OPERATOR));
  await printOut(
    [
      `broker:      nats-server -c ${folder.config}`,
      `coordinator: transect coordinator --login ${folder.loginFile(COORDINATOR)}`,
      `people:      transect status --login ${folder.loginFile(OPERATOR)}`,
      'agents:      transect auth invite NAME',
    ].join('\n'),
  );
}

async function invite(name: string, flags: MemberFlags & { valid: number }): Promise<void> {
  const folder = folderOf(flags);
  const roster = await folder.read();
  if (roster.entries.some((entry) => entry.name === name)) {
    const reason = 'somebody has this name already; revoke it first, or choose another one';
    throw new Fault('BAD_OPTION', reason, { value: name });
  }
  const { seed, key } = newNkey();
  const kind = kindOf(flags);
  const until = isoTime(systemClock.wall() + flags.valid);
  const invitation = { name, kind, key, roles: flags.roles ?? [], until };
  const others = roster.invitations.filter((each) => each.name !== name);
  const runs = await folder.write({ ...roster, invitations: [...others, invitation] });
  const token = tokenOf({ ...(await folder.loginOf(name, kind)), seed });
  const program = kind === 'agent' ? 'transect-agent join' : `transect auth join -o ${name}.login`;
  await printOut(`${program} ${token}`);
  printNote(`valid until ${until}; then accept it with: transect auth accept ${name}`);
  noteBroker(folder, runs);
}

async function accept(name: string, flags: DirFlag & { key?: string }): Promise<void> {
  const folder = folderOf(flags);
  const roster = await folder.read();
  const known =
    roster.invitations.find((each) => each.name === name) ??
    roster.entries.find((each) => each.name === name);
  if (known === undefined) {
    const reason = 'nobody with this name was invited; see: transect auth list';
    throw new Fault('BAD_OPTION', reason, { value: name });
  }
  const key = flags.key ?? (await enrolledKey(folder, name));
  const { kind, roles } = known;
  const entry = { name, kind, key, roles, since: isoTime(systemClock.wall()) };
  const runs = await folder.write(withEntry(roster, entry));
  printNote(`accepted ${name} with the key ${key}`);
  noteBroker(folder, runs);
}

/** The key that somebody has sent to the coordinator. */
async function enrolledKey(folder: AuthFolder, name: string): Promise<string> {
  const login = readLogin(folder.loginFile(OPERATOR), 'person', '--dir');
  const bus = await controlBus(accessOf(login, '--dir'));
  try {
    const { enrolments } = await bus.control.ask('enrolments', {});
    const found = enrolments.findLast((each) => each.name === name);
    if (found !== undefined) return found.key;
    const reason = 'the coordinator has received no key under this name; give it with --key';
    throw new Fault('BAD_OPTION', reason, { value: name });
  } finally {
    await bus.close();
  }
}

async function add(name: string, flags: MemberFlags & { outputFile?: string }): Promise<void> {
  const folder = folderOf(flags);
  const file = flags.outputFile ?? folder.loginFile(name);
  const runs = await addMember(folder, name, kindOf(flags), flags.roles ?? [], file);
  await printOut(file);
  noteBroker(folder, runs);
}

async function addMember(
  folder: AuthFolder,
  name: string,
  kind: LoginKind,
  roles: readonly Role[],
  file: string,
): Promise<boolean> {
  const { seed, key } = newNkey();
  const entry: RosterEntry = { name, kind, key, roles, since: isoTime(systemClock.wall()) };
  await folder.writeLogin(file, { ...(await folder.loginOf(name, kind)), seed });
  return await folder.write(withEntry(await folder.read(), entry));
}

async function revoke(name: string, flags: DirFlag): Promise<void> {
  const folder = folderOf(flags);
  const runs = await folder.write(without(await folder.read(), name));
  printNote(`revoked ${name}`);
  noteBroker(folder, runs);
}

async function listRoster(flags: DirFlag): Promise<void> {
  const { entries, invitations } = await folderOf(flags).read();
  const row = ({ name, kind, roles, key }: Omit<RosterEntry, 'since'>, when: string) => ({
    name,
    kind,
    roles: roles.join(','),
    when,
    key,
  });
  const rows = [
    ...entries.map((entry) => row(entry, `since ${entry.since}`)),
    ...invitations.map((entry) => row(entry, `invited until ${entry.until}`)),
  ];
  await printOut(formatTable(rows));
}

async function joinAsPerson(
  token: string,
  flags: { outputFile: string; wait: number },
): Promise<void> {
  const deps = { clock: systemClock, disk: systemDisk, say: printNote };
  await join(invitationOf(token), resolve(flags.outputFile), flags.wait, deps);
  await printOut(flags.outputFile);
}

function noteBroker(folder: AuthFolder, runs: boolean): void {
  if (!runs) printNote(`the broker does not run; start it with: nats-server -c ${folder.config}`);
}

function folderOf({ dir }: DirFlag): AuthFolder {
  return new AuthFolder(resolve(dir), { disk: systemDisk, clock: systemClock });
}

function kindOf({ roles, coordinator }: MemberFlags): LoginKind {
  if (coordinator) return 'coordinator';
  return roles === undefined ? 'agent' : 'person';
}

function withDir(made: Command): Command {
  return made.addOption(option('--dir <dir>', 'folder of the broker', undefined, DEFAULT_DIR));
}

function parseName(text: string): string {
  if (LOGIN_NAME.test(text)) return text;
  const reason =
    'a name has at most 48 letters, digits, _ and -, and begins with a letter or digit';
  throw new Fault('BAD_OPTION', reason, { value: text });
}

function parseKey(text: string): string {
  if (isPublicKey(text)) return text;
  throw new Fault('BAD_OPTION', 'a public key begins with U and has 56 characters', {
    value: text,
  });
}

function parseRoles(text: string): readonly Role[] {
  const roles = text.split(',').map((role) => role.trim());
  const unknown = roles.find((role) => !(ROLE_NAMES as readonly string[]).includes(role));
  if (unknown === undefined) return roles as readonly Role[];
  throw new Fault('BAD_OPTION', `the roles are ${ROLE_NAMES.join(', ')}`, { value: unknown });
}

function parseHosts(text: string): readonly string[] {
  const hosts = text.split(',').map((host) => host.trim());
  const bad = hosts.find(
    (host) => isIP(host) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host),
  );
  if (bad === undefined) return hosts;
  throw new Fault('BAD_OPTION', 'not a host name or address', { value: bad });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new Fault('BAD_OPTION', 'a port is a number from 1 to 65535', { value: text });
}
