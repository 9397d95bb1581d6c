/**
 * Output for people and for machines: rows and answers go to stdout, the rest to stderr. Control characters of
 * untrusted text are escaped.
 */
import { inert } from '../../../shared/base/printable.js';
import { writeOut } from '../../../shared/command/output.js';
import { probeNamed } from '../../../shared/probe/probe-registry.js';
import type { FindingsSummary } from '../../../shared/survey/icmp-findings.js';
import { formatCount, formatDuration, formatLimit } from '../../../shared/survey/quantities.js';
import { alarmingDrops, type SurveyStatus, silentOf } from '../../../shared/survey/status.js';
import {
  sumUnsent,
  UNSENT_NAMES,
  UNSENT_WORDS,
  type UnsentCounts,
} from '../../../shared/survey/unsent.js';

/** @throws ReaderGone, or Fault UNWRITABLE */
export async function printOut(text: string): Promise<void> {
  await writeOut(inert(text.endsWith('\n') ? text : `${text}\n`, true));
}

/** Prints the id of what was just created. If stdout fails, the id goes to stderr: it was created anyway. */
export async function printCompleted(id: string, what: string): Promise<void> {
  try {
    await printOut(id);
  } catch (error) {
    printNote(`${what} ${id} was created nevertheless`);
    throw error;
  }
}

export function printNote(text: string): void {
  process.stderr.write(`${inert(text, true)}\n`);
}

/** Replaces the last line of a terminal; a line that is too long is cut. */
export function rewriteLine(text: string): void {
  process.stderr.write(`\r\x1b[K${inert(text).slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

/** Columns under headings, padded; numbers are right-aligned. */
export function formatTable(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const table = new Table(names);
  return table.lines(rows.map((row) => names.map((name) => row[name] ?? ''))).trimEnd();
}

type Cell = string | number | boolean | null;

/** A table that is printed in parts: the first rows decide the widths of its columns. */
export class Table {
  readonly #names: readonly string[];
  #columns: readonly { readonly width: number; readonly isNumber: boolean }[] | undefined;

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Lines with their line ends; the headings precede the first. */
  lines(rows: readonly (readonly Cell[])[]): string {
    const cells = rows.map((row) => row.map((cell) => inert(cell === null ? '' : String(cell))));
    if (this.#columns !== undefined) return cells.map((line) => this.#queue(line)).join('');
    this.#columns = this.#names.map((name, i) => ({
      width: cells.reduce((most, line) => Math.max(most, line[i]?.length ?? 0), name.length),
      isNumber: typeof rows[0]?.[i] === 'number',
    }));
    return [this.#names, ...cells].map((line) => this.#queue(line)).join('');
  }

  #queue(cells: readonly string[]): string {
    const padded = this.#columns?.map(({ width, isNumber }, i) => {
      const cell = cells[i] ?? '';
      return isNumber ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${padded?.join('  ').trimEnd()}\n`;
  }
}

/** One line of progress. */
export function progressLine(status: SurveyStatus): string {
  const { targets, probesSent, targetsCovered, rate, replies, agents } = status;
  const most = targets * status.probesPerTarget;
  const done = Math.min(probesSent + sumUnsent(status), most);
  return [
    `${percent(done, most)} sent`,
    `${percent(targetsCovered, targets)} covered`,
    `${formatCount(probesSent)} of ${most > targets ? 'at most ' : ''}${formatCount(most)} probes`,
    `${formatCount(rate)}/s`,
    plural(replies, 'reply', 'replies'),
    plural(agents, 'agent'),
    ...(alarmingDrops(status) > 0 ? ['CAPTURE DROPS REPLIES'] : []),
    outlook(status),
  ].join(' · ');
}

function outlook(status: SurveyStatus): string {
  const { state, targets, probesSent, rate } = status;
  const left = targets * status.probesPerTarget - probesSent - sumUnsent(status);
  if (status.problem !== '') return `STALLED: ${status.problem}`;
  if (state === 'paused') return 'paused';
  if (state !== 'running') return status.endReason === '' ? 'stopping' : endOf(status);
  if (left <= 0) return 'waiting for late replies';
  if (rate < 1) return probesSent === 0 ? 'starting' : 'waiting';
  return `${formatDuration((left / rate) * 1000)} left`;
}

/** The state of a survey and, if a limit has ended it, which limit. */
export function endOf({ state, endReason }: SurveyStatus): string {
  return endReason === '' ? state : `${state} by its limit ${endReason}`;
}

/** The summary of a survey, for people. @param elapsed milliseconds, by the monotonic clock */
export function summaryOf(
  status: SurveyStatus,
  elapsed: number,
  files: Readonly<Record<string, string>>,
): string {
  const { targets, probesSent, targetsCovered, rowsStored } = status;
  const lines: Record<string, string> = {
    state:
      status.state === 'done'
        ? 'done'
        : `${endOf(status)}, ${percent(targetsCovered, targets)} covered`,
    targets: `${formatCount(targets)}, ${formatCount(targetsCovered)} covered`,
    probes: formatCount(probesSent),
    ...replyLines(status),
    silent: `${formatCount(silentOf(status))} were probed and did not reply`,
    ...unsentLines(status),
    ...findingLines(status),
    rows: formatCount(rowsStored),
    ...warnings(status),
    time: `${formatDuration(elapsed)}, ${formatLimit(status.budget)}, ${plural(status.agents, 'agent')}`,
    ...files,
  };
  return Object.entries(lines)
    .map(([name, text]) => `  ${name.padEnd(13)} ${text}`)
    .join('\n');
}

/** Words for the classes of replies, by name; other classes are shown by their name. */
const CLASS_WORDS: Readonly<Record<string, string>> = {
  synack: 'SYN-ACK',
  rst: 'RST',
  icmp: 'ICMP errors',
  unreach: 'port unreachable',
  udp: 'UDP answers',
  echoreply: 'echo replies',
  timestampreply: 'timestamp replies',
  initack: 'INIT ACK',
  abort: 'ABORT',
  window: 'RST with a window',
};

/**
 * One line per state of targets that replied (`open`, `closed`); if the survey has several probes, a single
 * line for all.
 */
export function replyLines({ replied, probes }: SurveyStatus): Record<string, string> {
  const counts = Object.entries(replied);
  const said = (name: string, count: number) =>
    `${formatCount(count)} ${CLASS_WORDS[name] ?? name}`;
  const [only, another] = probes;
  if (only === undefined || another !== undefined) {
    const some = counts.filter(([, count]) => count > 0);
    return { replies: some.map(([name, count]) => said(name, count)).join(', ') || 'none' };
  }
  const { classes } = probeNamed(only);
  const lines: Record<string, string> = {};
  for (const [name, count] of counts) {
    const state = classes.find((candidate) => candidate.name === name)?.state ?? name;
    lines[state] = [lines[state] ?? [], said(name, count)].flat().join(', ');
  }
  return lines;
}

function warnings(status: SurveyStatus): Record<string, string> {
  const { framesReceived, framesDropped } = status;
  if (framesDropped === 0) return {};
  const counts = `${formatCount(framesDropped)} of ${formatCount(framesReceived + framesDropped)} frames`;
  const isAlarming = alarmingDrops(status) > 0;
  return {
    drops: `${counts}${isAlarming ? ' — WARNING: REPLIES ARE MISSING; lower the rate' : ''}`,
  };
}

/** Lines about the findings from ICMP errors, and about UDP answers from elsewhere; none if there are none. */
export function findingLines({
  icmpLimited,
  slowedNetworks,
  otherPort,
  otherAddress,
}: SurveyStatus): Record<string, string> {
  const lines: Record<string, string> = {};
  const named = ({ count, examples }: FindingsSummary) =>
    `${formatCount(count)} (${examples.slice(0, 3).join(', ')}${count > 3 ? ', …' : ''})`;
  if (icmpLimited.count > 0) {
    lines['icmp_limited'] =
      `${named(icmpLimited)} limit the rate of their ICMP errors: closed targets there may be silent`;
  }
  if (slowedNetworks.count > 0) {
    lines['slowed'] = `${named(slowedNetworks)} prohibit probes, and were probed slowly`;
  }
  const elsewhere = [
    otherPort > 0
      ? `${formatCount(otherPort)} from other ports (udp:any-port=yes accepts them)`
      : '',
    otherAddress > 0
      ? `${formatCount(otherAddress)} from other addresses (udp:any-address=yes accepts them)`
      : '',
  ].filter((text) => text !== '');
  if (elsewhere.length > 0) lines['elsewhere'] = `UDP answers ${elsewhere.join('; ')}`;
  return lines;
}

export function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
}

/** A number with its noun. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** The line about targets that were not probed; none if there are none. */
export function unsentLines(status: Readonly<UnsentCounts>): Record<string, string> {
  const reasons = unsentReasons(status);
  return reasons === '' ? {} : { 'not probed': reasons };
}

/** Targets that were not probed, by reason; empty if there are none. */
export function unsentReasons(status: Readonly<UnsentCounts>): string {
  const reasons = UNSENT_NAMES.filter((name) => status[name] > 0);
  return reasons.map((name) => `${formatCount(status[name])} ${UNSENT_WORDS[name]}`).join('; ');
}
