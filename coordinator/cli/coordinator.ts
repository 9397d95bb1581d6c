/** `transect coordinator`: runs a coordinator until a signal. */

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type AllowedSigner, readSigners } from '../../shared/authorization/allowed-signers.js';
import { systemClock } from '../../shared/base/clock.js';
import { EXIT } from '../../shared/base/exit-codes.js';
import { shortId, systemRandom } from '../../shared/base/random.js';
import { stopController } from '../../shared/base/stop.js';
import { VERSION } from '../../shared/base/version.js';
import { brokerUrls } from '../../shared/bus/broker-access.js';
import { coordinatorBus } from '../../shared/bus/nats/nats-bus.js';
import { brokerAccess } from '../../shared/command/broker-options.js';
import { command, logLevelOption, option } from '../../shared/command/program.js';
import { onStopSignal } from '../../shared/command/signals.js';
import { type Disk, systemDisk } from '../../shared/host/disk.js';
import type { Survey } from '../../shared/survey/survey.js';
import { type HttpAddress, parseHttpAddress, serveTelemetry } from '../../shared/telemetry/http.js';
import { type LogLevel, openLog } from '../../shared/telemetry/log.js';
import type { Metrics } from '../../shared/telemetry/prometheus.js';
import { Coordinator, type CoordinatorDeps } from '../coordinator.js';
import { isReplicated } from '../data-folder.js';
import { runElection } from '../leader-election.js';
import { declareMetrics } from '../metrics.js';
import { persistentTerms } from '../persistent-terms.js';
import { Replica, type ReplicaDeps } from '../replication/replica.js';
import { mustReplicate, refuseReplica } from '../replication/replica-mark.js';
import { SigningKey } from '../storage/signing-key.js';
import { SurveyKeys } from '../survey-keys.js';
import { addBrokerOptions, type BrokerFlags } from './with-bus.js';

export const DEFAULT_DATA = 'transect-data';
const ID_LETTERS = 5;
/** A coordinator that receives a signal stops within this time, even if the broker does not answer. */
const STOP_MILLIS = 5000;

interface CoordinatorFlags extends BrokerFlags {
  readonly data: string;
  readonly signers?: readonly AllowedSigner[];
  readonly replicate: boolean;
  readonly http?: HttpAddress;
  readonly logLevel: LogLevel;
}

export function coordinatorCommand(): Command {
  const made = command(
    'coordinator',
    'run a coordinator, which admits surveys, grants rates and stores results; a second one stands by',
  );
  return addBrokerOptions(made)
    .addOption(
      option('--data <dir>', 'folder in which surveys are stored', undefined, DEFAULT_DATA),
    )
    .addOption(
      option(
        '--signers <file>',
        'keys that may authorize surveys (allowed_signers of OpenSSH); surveys need an authorization then',
        readSigners,
      ),
    )
    .addOption(
      option(
        '--replicate',
        'store copies of all files on the broker too, so that a coordinator on another host can take over',
        undefined,
        false,
      ),
    )
    .addOption(option('--http <host:port>', 'serve /metrics and /healthz', parseHttpAddress))
    .addOption(logLevelOption())
    .action(runCoordinator);
}

async function runCoordinator(flags: CoordinatorFlags): Promise<void> {
  const log = openLog('coordinator', flags.logLevel);
  const access = brokerAccess(flags, 'coordinator');
  const bus = await coordinatorBus(access);
  const data = resolve(flags.data);
  const deps = { bus, clock: systemClock, random: systemRandom, log };
  const replica = await openReplica(flags.replicate, data, deps);
  let leading: Coordinator | undefined;
  let brokerProblem: string | undefined;
  bus.disconnected.then((error) => {
    brokerProblem = error.message;
  });
  const declare = (metrics: Metrics) => declareMetrics(metrics, () => leading);
  const health = { problem: () => brokerProblem };
  const http = flags.http && (await serveTelemetry(flags.http, declare, health));
  const stop = stopController();
  onStopSignal(() => {
    if (stop.signal.aborted) process.exit(EXIT.STOPPED);
    stop.abort();
  });
  stop.signal.addEventListener('abort', () => {
    void systemClock.sleep(STOP_MILLIS).then(() => bus.close());
  });
  const signingKey = await new SigningKey(data, systemDisk).fingerprint();
  log.info({ nats: brokerUrls(access), data, version: VERSION, signingKey }, 'coordinator ready');
  const disconnected = bus.disconnected.then((error) => {
    if (!stop.signal.aborted) {
      log.error({ error: error.message }, 'stopping');
      process.exitCode = EXIT.NO_BROKER;
      stop.abort();
    }
  });
  const id = `${hostname()}-${process.pid}-${shortId(systemRandom, ID_LETTERS)}`;
  const terms = persistentTerms(data, systemDisk, log);
  const election = { leader: bus.leader, clock: systemClock, log, terms };
  let led: readonly Survey[] = [];
  let lastTerm = 0;
  const lead = async (term: number, disk: Disk, signal: AbortSignal) => {
    // Surveys in memory are used only if our last term directly precedes this one; otherwise another
    // coordinator may have led in between, and they may be out of date.
    const previous = term === lastTerm + 1 ? led : [];
    const { signers } = flags;
    const options = { data, version: VERSION, term, signers, restoresOrphans: { previous } };
    leading = new Coordinator(options, { ...deps, disk });
    await leading.run(signal);
    const running = [...leading.surveys.running.values()].map(({ survey }) => survey);
    const missing = previous.filter((each) => running.every((survey) => survey.id !== each.id));
    led = [...running, ...missing];
    lastTerm = term;
    leading = undefined;
  };
  const working = runElection(id, election, stop.signal, async (term, signal) => {
    if (replica === undefined) return await lead(term, systemDisk, signal);
    await replica.lead(term, (disk) => lead(term, disk, signal));
  });
  const following = replica?.follow(stop.signal) ?? working;
  try {
    await Promise.race([Promise.all([working, following]), disconnected]);
  } finally {
    stop.abort();
    await http?.close();
    await bus.close();
  }
}

/**
 * Makes the copies that the broker has for this host, if asked to replicate.
 * @throws Fault BAD_OPTION if the data folder can be no copy, or is one and `--replicate` is missing
 */
async function openReplica(
  replicate: boolean,
  data: string,
  deps: Omit<ReplicaDeps, 'replication' | 'disk'> & Pick<CoordinatorDeps, 'bus' | 'random'>,
): Promise<Replica | undefined> {
  const disk = systemDisk;
  if (!replicate) {
    await refuseReplica(disk, data);
    if (await deps.bus.isReplicated()) throw mustReplicate();
    return undefined;
  }
  const replication = await deps.bus.openReplication();
  const secret = {
    fingerprint: async () => (await SurveyKeys.read(data, disk))?.fingerprint,
    make: async () => (await SurveyKeys.open(data, disk, deps.random)).fingerprint,
  };
  const replica = new Replica({ data, isReplicated, secret }, { ...deps, replication, disk });
  await replica.catchUp();
  deps.log.info({ data, changes: replica.made }, 'the data folder has all copies of the broker');
  return replica;
}
