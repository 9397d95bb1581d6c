/** `transect auth init`: makes the folder of a broker. */
import { isIP } from 'node:net';
import type { Command } from 'commander';
import { Fault } from '../../../shared/base/faults.js';
import { command, option } from '../../../shared/command/program.js';
import { ROLE_NAMES } from '../../auth/roster.js';
import { printOut } from '../output/print.js';
import { addMember, type DirFlag, folderOf, OPERATOR, withDir } from './options.js';

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 4222;
const COORDINATOR = 'coordinator';

export function initCommand(): Command {
  const made = command(
    'init',
    'make a broker’s configuration, its certificates and an empty roster',
  );
  const hosts = 'names and addresses of the broker’s host, separated by commas';
  return withDir(made)
    .addOption(option('--host <names>', hosts, parseHosts, [DEFAULT_HOST]))
    .addOption(option('--port <port>', 'port of the broker', parsePort, DEFAULT_PORT))
    .addOption(option('--no-tls', 'do without TLS: for a broker on loopback only'))
    .action(init);
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
