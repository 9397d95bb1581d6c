/** `transect-agent`: parses flags, turns signals into one AbortSignal, and runs the agent. */

import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemClock } from '../shared/base/clock.js';
import { EXIT } from '../shared/base/exit-codes.js';
import { Fault } from '../shared/base/faults.js';
import { shortId, systemRandom } from '../shared/base/random.js';
import { stopController } from '../shared/base/stop.js';
import { VERSION } from '../shared/base/version.js';
import { brokerUrls } from '../shared/bus/broker-access.js';
import { agentBus } from '../shared/bus/nats/nats-bus.js';
import { signerOf } from '../shared/bus/nats/nkeys.js';
import {
  addBrokerOptions,
  type BrokerFlags,
  brokerAccess,
} from '../shared/command/broker-options.js';
import { addNetworkOptions, type NetworkFlags } from '../shared/command/network-options.js';
import {
  command,
  logLevelOption,
  option,
  repeatable,
  runProgram,
} from '../shared/command/program.js';
import { onStopSignal } from '../shared/command/signals.js';
import { hasNetRaw } from '../shared/host/capability.js';
import { systemDisk } from '../shared/host/disk.js';
import { toVantage, VANTAGE } from '../shared/net/vantage.js';
import { parseRate } from '../shared/survey/quantities.js';
import { type HttpAddress, parseHttpAddress, serveTelemetry } from '../shared/telemetry/http.js';
import { type LogLevel, openLog } from '../shared/telemetry/log.js';
import { Agent } from './agent.js';
import { canaryCommand } from './canary/canary-command.js';
import { joinCommand, rekeyCommand } from './join-command.js';
import { declareMetrics } from './metrics.js';
import { networkIoOpener } from './network-io.js';
import { type HostPolicy, NO_POLICY } from './policy/host-policy.js';
import { SeenExclusions } from './policy/seen-exclusions.js';
import { interfaceIndex } from './system/libc.js';

interface AgentFlags extends NetworkFlags, BrokerFlags {
  readonly vantage?: string;
  readonly maxRate: number;
  readonly blocklistFile?: readonly string[];
  readonly policy?: string;
  readonly unsigned?: boolean;
  readonly stateDir?: string;
  readonly http?: HttpAddress;
  readonly logLevel: LogLevel;
}

const POLICY_FILE = '/etc/transect/agent.yaml';
const ID_LETTERS = 5;
const SESSION_LETTERS = 16;

const program = command(
  'transect-agent',
  'send the probes of surveys that the coordinator on the same broker distributes',
)
  .version(VERSION)
  .addOption(
    option(
      '--vantage <label>',
      'vantage point label stored with each row; by default, the name of the login or of the host',
      parseVantage,
    ),
  )
  .addOption(
    option(
      '--max-rate <pps>',
      'limit the packets per second of this agent; 0 means no limit',
      parseRate,
      0,
    ),
  )
  .addOption(
    repeatable(
      '-b, --blocklist-file <file>',
      'file of ranges that this agent never probes',
      (file) => file,
    ),
  )
  .addOption(
    option(
      '--policy <file>',
      `what may leave this host, whatever a coordinator asks (default: ${POLICY_FILE}, if it exists)`,
    ),
  )
  .addOption(
    option(
      '--state-dir <dir>',
      'folder in which this host remembers the exclusions; without one, a restarted agent believes its coordinator',
    ).env('STATE_DIRECTORY'),
  )
  .addOption(option('--unsigned', 'serve surveys without authorization').hideHelp())
  .addOption(option('--http <host:port>', 'serve /metrics and /healthz', parseHttpAddress))
  .addOption(logLevelOption())
  .action(run);

addBrokerOptions(program);
addNetworkOptions(program, false);
program.addCommand(joinCommand()).addCommand(rekeyCommand()).addCommand(canaryCommand());

process.exit(await runProgram(program, process.argv.slice(2)));

async function run(flags: AgentFlags): Promise<void> {
  if (flags.interface !== undefined) interfaceIndex(flags.interface);
  const policy = await policyOf(flags);
  const openNetworkIo = await networkIoOpener(
    {
      device: flags.interface,
      sources: flags.sourceIp?.addresses,
      sourceWindow: flags.sourceIp?.window,
      sourcePorts: flags.sourcePort,
      gatewayMac: flags.gatewayMac,
      sourceMac: flags.sourceMac,
      vlan: flags.vlan,
      senders: flags.senders ?? 1,
      transmit: flags.transmit,
      blocklists: flags.blocklistFile ?? [],
      forbidden: policy.forbidden,
    },
    systemClock,
  );
  const access = brokerAccess(flags, 'agent');
  const vantage = flags.vantage ?? access.name ?? toVantage(hostname());
  // The broker knows us by the name of our login; without one, names must differ by chance.
  const agent = access.name ?? `${vantage}-${shortId(systemRandom, ID_LETTERS)}`;
  const log = openLog('agent', flags.logLevel).child({ agent });
  const bus = await agentBus(access, agent);
  const session = shortId(systemRandom, SESSION_LETTERS);
  const identity = { agent, session, vantage, version: VERSION };
  const ceilings = [flags.maxRate, policy.maxRate].filter((rate) => rate > 0);
  const ceiling = ceilings.length === 0 ? 0 : Math.min(...ceilings);
  const options = { ...identity, ceiling };
  const seen =
    flags.stateDir &&
    (await SeenExclusions.open(flags.stateDir, access.name ?? vantage, systemDisk, log));
  const sign = access.login?.kind === 'nkey' ? signerOf(access.login.seed) : undefined;
  const deps = { bus, clock: systemClock, log, openNetworkIo, policy, sign };
  const working = new Agent(options, { ...deps, seen: seen || undefined });
  const health = { problem: () => working.surveys.problem || undefined };
  const http =
    flags.http &&
    (await serveTelemetry(flags.http, (metrics) => declareMetrics(metrics, working), health));
  const stop = stopController();
  onStopSignal(() => {
    if (stop.signal.aborted) process.exit(EXIT.STOPPED);
    stop.abort();
  });
  const disconnected = bus.disconnected.then((error) => {
    if (!stop.signal.aborted) throw new Fault('BROKER_UNREACHABLE', error.message);
  });
  if (!hasNetRaw()) {
    log.info(
      {},
      'without CAP_NET_RAW, this agent serves only surveys of tcp-connect; run it as root for others',
    );
  }
  log.info({ nats: brokerUrls(access), vantage, version: VERSION }, 'agent ready');
  await Promise.race([working.run(stop.signal), disconnected]);
  await http?.close();
  await bus.close();
}

function parseVantage(text: string): string {
  if (VANTAGE.test(text)) return text;
  const reason = 'a vantage is a label of at most 48 letters, digits, _ and -, not starting with -';
  throw new Fault('BAD_OPTION', reason, { value: text });
}

/** The policy of this host. The agents of `scan` serve its own user, whose surveys need no authorization. */
async function policyOf({ policy: file, unsigned }: AgentFlags): Promise<HostPolicy> {
  if (file === undefined && !existsSync(POLICY_FILE)) return NO_POLICY;
  // Loaded only here, because the YAML parser takes time.
  const { readPolicy } = await import('./policy/policy-file.js');
  const policy = await readPolicy(file ?? POLICY_FILE, '--policy');
  return unsigned ? { ...policy, signers: undefined } : policy;
}
