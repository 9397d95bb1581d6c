/**
 * `transect scan`: everything in one command. A private broker, the coordinator in this process, and agents
 * as child processes; rows go to stdout as they arrive, or to a file, complete, at the end. The first Ctrl-C
 * waits for late replies and stores them; the second stops within seconds.
 */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../../shared/base/clock.js';
import { EXIT } from '../../../shared/base/exit-codes.js';
import { Fault } from '../../../shared/base/faults.js';
import { systemRandom } from '../../../shared/base/random.js';
import { stopController } from '../../../shared/base/stop.js';
import { VERSION } from '../../../shared/base/version.js';
import type { CoordinatorBus } from '../../../shared/bus/interfaces.js';
import { coordinatorBus } from '../../../shared/bus/nats/nats-bus.js';
import { addNetworkOptions, networkArguments } from '../../../shared/command/network-options.js';
import { command, option } from '../../../shared/command/program.js';
import { requireNetRaw } from '../../../shared/host/capability.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { ProbeSet } from '../../../shared/probe/probe-set.js';
import { Plan, shardLengthFor } from '../../../shared/survey/plan.js';
import type { SurveyStatus } from '../../../shared/survey/status.js';
import { silentLog } from '../../../shared/telemetry/log.js';
import { checkRequest } from '../../admission/admission.js';
import { Coordinator } from '../../coordinator.js';
import { briefPlan, summarizePlan } from '../../plan/plan-summary.js';
import { defaultFields, storedFields, withAliasFields } from '../../sink/field-selection.js';
import { parseOutputFilter } from '../../sink/row-filter.js';
import { MANIFEST_FILE } from '../../storage/folder-layout.js';
import type { SurveyRun } from '../../survey/survey-run.js';
import { DEFAULT_DATA } from '../coordinator.js';
import { printNote, summaryOf, unsentReasons } from '../output/print.js';
import { readAndResolve } from '../plan.js';
import { fieldsOption, headerOption } from '../stored/results.js';
import type { ResolvedSurvey } from '../survey/resolve.js';
import { addSurveyOptions } from '../survey/survey-options.js';
import { type ChildAgents, startAgents } from './child-agents.js';
import { writeTargets } from './dryrun.js';
import { Interrupts } from './interrupts.js';
import { type PrivateBroker, startPrivateBroker } from './private-broker.js';
import { RowsOut } from './rows-out.js';
import type { ScanFlags } from './scan-flags.js';
import { type Ending, untilEnded } from './watch.js';

const AGENTS_MAX = 64;
/** The default format on stdout. */
const STREAMED = 'csv';

export function scanCommand(): Command {
  const made = command(
    'scan',
    'survey targets from this machine: broker, coordinator and agents in one command',
  );
  made.argument('[targets...]', 'prefixes, ranges and addresses');
  addSurveyOptions(made);
  const options = [
    option('--agents <n>', 'agent processes', parseAgents, 1),
    option(
      '-o, --output-file <file>',
      'write all rows to a file once the survey is over; - prints them as they arrive',
    ),
    fieldsOption(),
    option(
      '--output-filter <condition>',
      'print only rows that meet a condition in ZMap’s language, such as success = 1 && ttl < 64; implies --rows all',
      parseOutputFilter,
    ),
    headerOption(),
    option('--data <dir>', 'folder in which surveys are stored', undefined, DEFAULT_DATA),
    option('-d, --dryrun', 'print the targets in probing order, and send nothing'),
    option('-q, --quiet', 'no progress, no summary'),
  ];
  for (const each of options) made.addOption(each);
  addNetworkOptions(made, true);
  return made.action(scan);
}

async function scan(targets: readonly string[], flags: ScanFlags): Promise<void> {
  const resolved = await readAndResolve(targets, surveyFlagsOf(flags));
  if (resolved.request.crossCheckInterval > 0) {
    const reason = 'all agents of a scan are yours, and on one host: cross-checks are for launch';
    throw new Fault('BAD_OPTION', reason, { flag: '--cross-check' });
  }
  if (flags.dryrun) {
    const { space, request } = resolved;
    const { maxTargets } = request.limits;
    const shardLength = shardLengthFor(maxTargets, request.rate);
    writeTargets(
      new Plan(space, request.seed, shardLength, maxTargets, request.spaceHash),
      request.probes,
    );
    return;
  }
  checkRequest(resolved.request, resolved.space);
  if (new ProbeSet(resolved.request.probes).kind !== 'connection') requireNetRaw();
  using interrupts = new Interrupts();
  const ending: Ending = { isEnough: false, cut: () => {} };
  const rows = await RowsOut.open(rowsWanted(flags, resolved), {
    onEnough: () => ending.cut(),
    onReaderGone: () => interrupts.readerGone(),
  });
  const say = flags.quiet ? () => {} : printNote;
  say(briefPlan(summarizePlan(resolved.request, resolved.composition)));
  // The agents load while the broker starts.
  const agents = startAgents(flags.agents, networkArguments({ ...flags }), say);
  let broker: PrivateBroker | undefined;
  try {
    broker = await startPrivateBroker();
    agents.connect(broker.url);
    const { access, failed } = broker;
    const bus = await coordinatorBus(access).catch((cause: unknown) => {
      throw failed(cause);
    });
    await survey({ flags, resolved, interrupts, ending, rows, say, broker, bus, agents });
    await bus.close();
  } finally {
    await agents.stop(true);
    await broker?.stop();
  }
}

interface Session {
  readonly flags: ScanFlags;
  readonly resolved: ResolvedSurvey;
  readonly interrupts: Interrupts;
  readonly ending: Ending;
  readonly rows: RowsOut;
  readonly say: (text: string) => void;
  readonly broker: PrivateBroker;
  readonly bus: CoordinatorBus;
  readonly agents: ChildAgents;
}

/** Runs the survey, from its launch to its summary. */
async function survey(session: Session): Promise<void> {
  const { flags, resolved, interrupts, ending, rows, say, broker, bus, agents } = session;
  const stop = stopController();
  const deps = { bus, clock: systemClock, random: systemRandom, disk: systemDisk, log: silentLog };
  const coordinator = new Coordinator(
    { data: resolve(flags.data), version: VERSION, term: 1, servesControl: false },
    { ...deps, onBatch: (run, batch) => rows.take(run, batch) },
  );
  try {
    const failed = coordinator.run(stop.signal).then(() => new Promise<never>(() => {}));
    failed.catch(() => {});
    const brokerEnded = broker.ended.then(() => {
      throw new Fault('NO_NATS_SERVER', 'the private nats-server ended by itself');
    });
    brokerEnded.catch(() => {});
    await bus.spaces.put(resolved.request.spaceHash, resolved.bytes);
    await bus.spaces.put(resolved.request.rulesHash, resolved.rules);
    const begunAt = systemClock.monotonic();
    const run = await coordinator.launch(resolved.request);
    const watched = { run, coordinator, agents, flags, interrupts, ending, say };
    const status = await Promise.race([untilEnded(watched), brokerEnded, failed]);
    const elapsed = systemClock.monotonic() - begunAt;
    // Waits for a slow reader, unless there is a second interrupt.
    const files = (await Promise.race([rows.finish(run), interrupts.hurried])) ?? {};
    const manifest = join(run.folder.path, MANIFEST_FILE);
    say(`\n${summaryOf({ ...status, agents: flags.agents }, elapsed, { ...files, manifest })}`);
    await agents.stop(interrupts.count > 1);
    setExitCode(run, status, session);
  } finally {
    stop.abort();
  }
}

/** Sets the exit code. @throws Fault if the survey did not end as it should */
function setExitCode(
  { survey: { id, endReason } }: SurveyRun,
  status: SurveyStatus,
  session: Session,
): void {
  const { interrupts, ending } = session;
  const isLimit = ending.isEnough || endReason !== '';
  if (interrupts.count > 0) process.exitCode = interrupts.count > 1 ? EXIT.STOPPED : EXIT.DRAINED;
  else if (status.state === 'cancelled' && !isLimit) {
    throw new Fault('ENDED_BY_OTHERS', 'the survey was cancelled by somebody else', { value: id });
  } else if (endReason === 'min-hitrate') {
    const reason = 'the hit rate is below --min-hitrate: the survey was ended';
    throw new Fault('LOW_HITRATE', reason, { flag: '--min-hitrate' });
  } else if (status.probesSent === 0 && status.targets > 0) {
    const cause = endReason === '' ? 'the kernel accepted none' : `ended by ${endReason} before`;
    throw new Fault('NOTHING_SENT', `no probe was sent: ${unsentReasons(status) || cause}`);
  }
}

function rowsWanted(flags: ScanFlags, { space, request }: ResolvedSurvey) {
  const { size: probes } = new Set(request.probes.map(({ name }) => name));
  const isTagged = request.aliasLengths.length > 0;
  const usual = isTagged
    ? storedFields(probes, true)
    : defaultFields(space.parts.ports.length, probes);
  const fields = withAliasFields(flags.outputFields ?? usual, isTagged);
  return {
    file: flags.outputFile,
    module: flags.outputModule ?? STREAMED,
    fields,
    hasHeader: flags.headerRow,
    filter: flags.outputFilter,
    rowsMax: flags.maxResults,
    isTagged,
  };
}

function parseAgents(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= AGENTS_MAX) return count;
  throw new Fault('BAD_OPTION', `must be a whole number from 1 to ${AGENTS_MAX}`, { value: text });
}

/** With a filter of rows, all replies are stored, and the limit on rows counts those that are printed. */
function surveyFlagsOf(flags: ScanFlags): ScanFlags {
  const { maxResults: _, ...rest } = flags;
  return flags.outputFilter === undefined ? flags : { ...rest, rows: flags.rows ?? 'all' };
}
