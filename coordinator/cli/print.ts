/** Lines for people and for machines: rows and answers go to stdout, the rest to stderr. */

import { formatCount, formatDuration } from '../../shared/survey/quantities.js';
import { alarmingDrops, type SurveyStatus } from '../../shared/survey/status.js';

export function printOut(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

export function printNote(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Replaces the line that a terminal shows last; what does not fit is cut. */
export function rewriteLine(text: string): void {
  process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

/** Columns under headings, padded; numbers to the right. */
export function formatTable(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '')))];
  const longest = (i: number) =>
    cells.reduce((most, line) => Math.max(most, line[i]?.length ?? 0), 0);
  const widths = names.map((_, i) => longest(i));
  const isNumber = names.map((name) => typeof rows[0]?.[name] === 'number');
  return cells
    .map((line) =>
      line
        .map((cell, i) =>
          isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One line of progress. */
export function progressLine(status: SurveyStatus): string {
  const { targets, sent, covered, rate, replies, agents } = status;
  return [
    `${percent(Math.min(sent, targets), targets)} sent`,
    `${percent(covered, targets)} covered`,
    `${formatCount(sent)} of ${formatCount(targets)} probes`,
    `${formatCount(rate)}/s`,
    `${formatCount(replies)} replies`,
    agents === 1 ? '1 agent' : `${agents} agents`,
    ...(alarmingDrops(status) > 0 ? ['CAPTURE DROPS REPLIES'] : []),
    outlook(status),
  ].join(' · ');
}

function outlook(status: SurveyStatus): string {
  const { state, targets, sent, rate } = status;
  const left = targets - sent;
  if (status.trouble !== '') return `STALLED: ${status.trouble}`;
  if (state === 'paused') return 'paused';
  if (state !== 'running') return 'stopping';
  if (left <= 0) return 'waiting for late replies';
  if (rate < 1) return sent === 0 ? 'starting' : 'waiting';
  return `${formatDuration((left / rate) * 1000)} left`;
}

/** What came of a survey, for a newcomer. */
export function summaryOf(status: SurveyStatus, files: Readonly<Record<string, string>>): string {
  const { targets, sent, covered, synack, rst, icmp, rows, lost, excluded } = status;
  const elapsed = status.endedAt - status.startedAt;
  const lines: Record<string, string> = {
    state:
      status.state === 'done' ? 'done' : `${status.state}, ${percent(covered, targets)} covered`,
    targets: `${formatCount(targets)} (address and port), ${formatCount(covered)} covered`,
    probes: `${formatCount(sent)}${notes({ lost, excluded })}`,
    open: `${formatCount(synack)} answered SYN-ACK: a service is there`,
    closed: `${formatCount(rst)} answered RST: nothing listens`,
    unreachable: `${formatCount(icmp)} answered by ICMP`,
    silent: `${formatCount(covered - synack - rst - icmp)} did not answer`,
    rows: formatCount(rows),
    ...warnings(status),
    time: `${formatDuration(elapsed)} at ${formatCount(status.budget)} probes/s, ${formatCount(status.agents)} agents`,
    ...files,
  };
  return Object.entries(lines)
    .map(([name, text]) => `  ${name.padEnd(12)} ${text}`)
    .join('\n');
}

function warnings(status: SurveyStatus): Record<string, string> {
  const { received, dropped } = status;
  if (dropped === 0) return {};
  const counts = `${formatCount(dropped)} of ${formatCount(received + dropped)} frames`;
  const isAlarming = alarmingDrops(status) > 0;
  return {
    drops: `${counts}${isAlarming ? ' — WARNING: REPLIES ARE MISSING; lower the rate' : ''}`,
  };
}

export function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
}

function notes(counts: Readonly<Record<string, number>>): string {
  const said = Object.entries(counts).filter(([, count]) => count > 0);
  return said.map(([name, count]) => `, ${formatCount(count)} ${name}`).join('');
}
