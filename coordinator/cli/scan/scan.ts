/**
 * `transect scan`: everything in one command. A private broker, the coordinator in this process and
 * the agents as children do what they would do on many hosts; rows go to stdout as they come, or to
 * a file, whole, at the end. Ctrl-C once settles and stores what was sent; twice stops at once.
 */

import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { requireNetRaw } from '../../../shared/base/capability.js';
import { systemClock } from '../../../shared/base/clock.js';
import { systemDisk } from '../../../shared/base/disk.js';
import { EXIT } from '../../../shared/base/exit.js';
import { Fault } from '../../../shared/base/faults.js';
import { systemRandom } from '../../../shared/base/random.js';
import { stopController } from '../../../shared/base/stop.js';
import { VERSION } from '../../../shared/base/version.js';
import { natsBus } from '../../../shared/bus/nats/nats-bus.js';
import { command, option } from '../../../shared/command/program.js';
import { addStationOptions, stationArguments } from '../../../shared/command/station-options.js';
import { Plan, shardLengthFor } from '../../../shared/survey/plan.js';
import { parseCount, parseDuration } from '../../../shared/survey/quantities.js';
import type { SurveyStatus } from '../../../shared/survey/status.js';
import { silentLog } from '../../../shared/telemetry/log.js';
import { Coordinator } from '../../coordinator.js';
import { checkRequest } from '../../intake/intake.js';
import { briefPlan, reportPlan } from '../../plan/plan-report.js';
import { sinkNamed } from '../../sink/catalogue.js';
import { defaultFields } from '../../sink/row.js';
import { MANIFEST_FILE } from '../../sink/survey-folder.js';
import type { SurveyRun } from '../../survey-run.js';
import { DEFAULT_DATA } from '../daemon.js';
import { draftOf } from '../plan.js';
import { printNote, progressLine, rewriteLine, summaryOf } from '../print.js';
import { fieldsOption, writeFile } from '../stored/results.js';
import { StoredRows } from '../stored/stored-rows.js';
import type { Drafted } from '../survey/draft.js';
import { addSurveyOptions, type SurveyFlags } from '../survey/survey-options.js';
import { type ChildAgents, startAgents } from './child-agents.js';
import { writeTargets } from './dryrun.js';
import { Interrupts } from './interrupts.js';
import { startPrivateBroker } from './private-broker.js';
import { type RowFormat, RowStream } from './row-stream.js';

interface ScanFlags extends SurveyFlags {
  readonly agents: number;
  readonly outputFile?: string;
  readonly outputFields?: readonly string[];
  readonly maxResults?: number;
  readonly maxRuntime?: number;
  readonly data: string;
  readonly quiet?: boolean;
  readonly dryrun?: boolean;
  readonly maxTargets?: number;
}

interface Session {
  readonly flags: ScanFlags;
  readonly say: (text: string) => void;
  readonly interrupts: Interrupts;
}

const PROGRESS_MILLIS = 1000;
const AGENTS_MAX = 64;
/** How rows are written for people where they do not say. */
const STREAMED = 'csv';

export function scanCommand(): Command {
  const made = command(
    'scan',
    'survey targets from this machine: broker, coordinator, agents in one',
  );
  made.argument('[targets...]', 'prefixes, ranges and addresses');
  addSurveyOptions(made);
  const options = [
    option('--agents <n>', 'agent processes', parseAgents, 1),
    option('-o, --output-file <file>', 'write the rows here, whole, at the end'),
    fieldsOption(),
    option('-N, --max-results <n>', 'drain once so many rows are stored', parseCount),
    option('-t, --max-runtime <time>', 'drain after this time', parseDuration),
    option('--data <dir>', 'where segments and manifests go', undefined, DEFAULT_DATA),
    option('-d, --dryrun', 'print the targets in probing order, and send nothing'),
    option('-n, --max-targets <n>', 'with --dryrun: how many', parseCount),
    option('-q, --quiet', 'no progress, no summary'),
  ];
  for (const each of options) made.addOption(each);
  addStationOptions(made, true);
  return made.action(scan);
}

async function scan(targets: readonly string[], flags: ScanFlags): Promise<void> {
  const drafted = await draftOf(targets, flags);
  if (flags.dryrun) {
    const { space, request } = drafted;
    const plan = new Plan(space, request.seed, shardLengthFor(space.size, request.rate));
    writeTargets(plan, Math.min(space.size, flags.maxTargets ?? space.size), process.stdout.fd);
    return;
  }
  checkRequest(drafted.request, drafted.space);
  requireNetRaw();
  const say = flags.quiet ? () => {} : printNote;
  using interrupts = new Interrupts();
  say(briefPlan(reportPlan(drafted.request, drafted.composition)));
  const broker = await startPrivateBroker();
  const stop = stopController();
  let agents: ChildAgents | undefined;
  try {
    const bus = await natsBus(broker.url, 'transect scan');
    const data = resolve(flags.data);
    const format = formatOf(flags, drafted);
    const rows = format && flags.outputFile === undefined ? streamRows(format) : undefined;
    const coordinator = new Coordinator(
      { data, version: VERSION, term: 1 },
      {
        bus,
        clock: systemClock,
        random: systemRandom,
        disk: systemDisk,
        log: silentLog,
        ...(rows && { onBatch: (plan, batch) => rows.take(plan, batch) }),
      },
    );
    const working = coordinator.run(stop.signal);
    const failed = working.then(() => new Promise<never>(() => {}));
    failed.catch(() => {});
    await bus.spaces.put(drafted.request.spaceHash, drafted.bytes);
    await bus.spaces.put(drafted.request.rulesHash, drafted.rules);
    const run = await coordinator.launch(drafted.request);
    agents = startAgents(flags.agents, broker.url, stationArguments({ ...flags }));
    const session = { flags, say, interrupts };
    const lost = broker.ended.then(() => {
      throw new Fault('NO_NATS_SERVER', 'the private nats-server ended by itself');
    });
    const status = await Promise.race([
      untilEnded(run, coordinator, agents, session),
      lost,
      failed,
    ]);
    const files = await writeRows(run, flags, fieldsOf(flags, drafted));
    const manifest = join(run.vault.folder, MANIFEST_FILE);
    say(`\n${summaryOf({ ...status, agents: flags.agents }, { ...files, manifest })}`);
    if (interrupts.count > 0) process.exitCode = interrupts.count > 1 ? EXIT.STOPPED : EXIT.DRAINED;
    await agents.stop(interrupts.count > 1);
    stop.abort();
    await bus.close();
  } finally {
    stop.abort();
    await agents?.stop(true);
    await broker.stop();
  }
}

/** Waits for the manifest; hears Ctrl-C, limits, and agents that cannot work. */
async function untilEnded(
  run: SurveyRun,
  coordinator: Coordinator,
  agents: ChildAgents,
  { flags, say, interrupts }: Session,
): Promise<SurveyStatus> {
  interrupts.listen((count) => {
    if (count === 1) say('\nstopping: waiting for late replies; Ctrl-C again to stop now');
    else void agents.stop(true);
    void run.cancel(count > 1);
  });
  const watch = stopController();
  try {
    const watching = watchRun(run, coordinator, flags, say, watch.signal);
    return await Promise.race([run.ended, agents.failed, watching]);
  } finally {
    watch.abort();
  }
}

/** Shows progress and enforces limits; rejects where no agent can work, else never settles. */
async function watchRun(
  run: SurveyRun,
  coordinator: Coordinator,
  flags: ScanFlags,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<never> {
  const { maxResults = Number.POSITIVE_INFINITY, maxRuntime = Number.POSITIVE_INFINITY } = flags;
  const isTerminal = process.stderr.isTTY === true;
  const startedAt = systemClock.monotonic();
  let trouble = '';
  while (!signal.aborted) {
    await systemClock.sleep(PROGRESS_MILLIS, signal);
    if (signal.aborted) break;
    const { status } = run;
    if (isTerminal && !flags.quiet) rewriteLine(progressLine(status));
    else say(progressLine(status));
    if (status.rows >= maxResults || systemClock.monotonic() - startedAt >= maxRuntime) {
      await run.cancel(false);
    }
    const agents = coordinator.agents.statuses([run.fleet]);
    const refused = agents.find(({ state }) => state === 'refused')?.trouble ?? '';
    if (refused !== '' && agents.every(({ state }) => state === 'refused')) {
      // Who has worked before may work again: an interface comes back.
      if (status.sent === 0) throw new Fault('NO_ROUTE', refused);
      if (refused !== trouble) say(`\nwaiting: ${refused}`);
    }
    trouble = refused;
  }
  return new Promise<never>(() => {});
}

function fieldsOf(flags: ScanFlags, { space }: Drafted): readonly string[] {
  return flags.outputFields ?? defaultFields(space.parts.ports.length);
}

/** How rows go to stdout; undefined where the format needs a file. @throws Fault BAD_OPTION */
function formatOf(flags: ScanFlags, drafted: Drafted): RowFormat | undefined {
  const { text } = sinkNamed(flags.outputModule ?? STREAMED);
  if (text !== undefined) return { text, fields: fieldsOf(flags, drafted) };
  if (flags.outputFile !== undefined) return undefined;
  const why = 'needs a file to write to: -o FILE';
  throw new Fault('BAD_OPTION', why, { flag: '--output-module', value: flags.outputModule });
}

/** Rows to stdout; when nobody reads on, that is a Ctrl-C. */
function streamRows(format: RowFormat): RowStream {
  process.stdout.on('error', () => process.emit('SIGINT'));
  return new RowStream(format, (text) => process.stdout.write(text));
}

async function writeRows(
  run: SurveyRun,
  { outputFile, outputModule }: ScanFlags,
  fields: readonly string[],
): Promise<Record<string, string>> {
  const { vault, survey } = run;
  if (outputFile === undefined) return { segments: vault.segments.folder };
  const rows = new StoredRows(vault.folder, survey.output);
  const { text } = sinkNamed(outputModule ?? STREAMED);
  await writeFile(rows, text, { fields }, resolve(outputFile));
  return { output: outputFile };
}

function parseAgents(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= AGENTS_MAX) return count;
  throw new Fault('BAD_OPTION', `a number of agents is from 1 to ${AGENTS_MAX}`, { value: text });
}
