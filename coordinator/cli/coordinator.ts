/** `transect coordinator`: the daemon. */

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { brokerUrls } from '../../shared/base/broker-access.js';
import { systemClock } from '../../shared/base/clock.js';
import { EXIT } from '../../shared/base/exit.js';
import { shortId, systemRandom } from '../../shared/base/random.js';
import { stopController } from '../../shared/base/stop.js';
import { VERSION } from '../../shared/base/version.js';
import { natsBus } from '../../shared/bus/nats/nats-bus.js';
import { brokerAccess } from '../../shared/command/broker-options.js';
import { command, logLevelOption, option } from '../../shared/command/program.js';
import { onStopSignal } from '../../shared/command/signals.js';
import { systemDisk } from '../../shared/host/disk.js';
import type { Survey } from '../../shared/survey/survey.js';
import { type HttpAddress, parseHttpAddress, serveTelemetry } from '../../shared/telemetry/http.js';
import { type LogLevel, openLog } from '../../shared/telemetry/log.js';
import { Metrics } from '../../shared/telemetry/metrics.js';
import { Coordinator } from '../coordinator.js';
import { runElection } from '../leader-election.js';
import { declareMetrics } from '../metrics.js';
import { persistentTerms } from '../persistent-terms.js';
import { addBrokerOptions, type BrokerFlags } from './with-bus.js';

export const DEFAULT_DATA = 'transect-data';
const ID_LETTERS = 5;
/** A coordinator that is told to stop takes no longer than this. */
const LEAVE_MILLIS = 5000;

interface CoordinatorFlags extends BrokerFlags {
  readonly data: string;
  readonly http?: HttpAddress;
  readonly logLevel: LogLevel;
}

export function coordinatorCommand(): Command {
  return addBrokerOptions(
    command(
      'coordinator',
      'run the coordinator, or stand by for one: admits, plans, stores surveys',
    ),
  )
    .addOption(option('--data <dir>', 'where segments and manifests go', undefined, DEFAULT_DATA))
    .addOption(option('--http <host:port>', 'serve /metrics and /healthz', parseHttpAddress))
    .addOption(logLevelOption())
    .action(runCoordinator);
}

async function runCoordinator(flags: CoordinatorFlags): Promise<void> {
  const log = openLog('coordinator', flags.logLevel);
  const access = brokerAccess(flags);
  const bus = await natsBus(access, 'coordinator');
  const data = resolve(flags.data);
  const deps = { bus, clock: systemClock, random: systemRandom, disk: systemDisk, log };
  let leading: Coordinator | undefined;
  const metrics = new Metrics();
  declareMetrics(metrics, () => leading);
  let brokerTrouble: string | undefined;
  bus.disconnected.then((error) => {
    brokerTrouble = error.message;
  });
  const http =
    flags.http && (await serveTelemetry(flags.http, metrics, { problem: () => brokerTrouble }));
  const stop = stopController();
  onStopSignal(() => {
    if (stop.signal.aborted) process.exit(EXIT.STOPPED);
    stop.abort();
  });
  // Where the broker is away, there is nobody to take leave of.
  stop.signal.addEventListener('abort', () => {
    void systemClock.sleep(LEAVE_MILLIS).then(() => bus.close());
  });
  log.info({ nats: brokerUrls(access), data, version: VERSION }, 'coordinator ready');
  const lost = bus.disconnected.then((error) => {
    if (!stop.signal.aborted) {
      log.error({ error: error.message }, 'stopping');
      process.exitCode = EXIT.NO_BROKER;
      stop.abort();
    }
  });
  const id = `${hostname()}-${process.pid}-${shortId(systemRandom, ID_LETTERS)}`;
  const terms = persistentTerms(data, systemDisk, log);
  const seat = { seat: bus.leader, clock: systemClock, log, terms };
  let before: readonly Survey[] = [];
  let lastTerm = 0;
  const working = runElection(id, seat, stop.signal, async (term, signal) => {
    // Where others have led in between, what we knew of surveys may be out of date.
    const orphans = { before: term === lastTerm + 1 ? before : [] };
    leading = new Coordinator({ data, version: VERSION, term, orphans }, deps);
    await leading.run(signal);
    const led = [...leading.surveys.running.values()].map(({ survey }) => survey);
    const missing = orphans.before.filter(({ id }) => led.every((survey) => survey.id !== id));
    before = [...led, ...missing];
    lastTerm = term;
    leading = undefined;
  });
  await Promise.race([working, lost]);
  await http?.close();
  await bus.close();
}
