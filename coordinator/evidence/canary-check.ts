/**
 * Compares the rows of a survey with what canaries answer. Of each covered target within their prefixes, the answer
 * follows from the secret and the day of the probe. A row that says otherwise was made up; a missing row may be a loss.
 */
import { join } from 'node:path';
import type { Disk } from '../../shared/host/disk.js';
import { Target } from '../../shared/net/endpoint.js';
import { hasPrefix, type Prefix6, parseWords } from '../../shared/net/ipv6.js';
import { portIn, probeIn } from '../../shared/net/ports.js';
import { type Canaries, type CanaryProbe, dayOf } from '../../shared/survey/canaries.js';
import type { Plan } from '../../shared/survey/plan.js';
import { unsentAt } from '../../shared/survey/unsent-positions.js';
import { FIELDS } from '../sink/fields.js';
import { JOURNAL_FILE, type PublicSurvey } from '../storage/folder-layout.js';
import { readJournal } from '../storage/journal.js';
import { SegmentStore } from '../storage/segments.js';

const MAPPED_BITS = 96;
/** Of larger prefixes, only targets with a row or a probe in the log are judged. */
const ENUMERATED_BITS = 16;
/** Clocks of agents and of the responder may differ by this much. */
const CLOCKS_MILLIS = 5000;
const PROBE = 'tcp-syn';

/** The canaries of one agent. */
export interface CanaryResult {
  /** Answers that are those of the canaries. */
  right: number;
  /** Answers that no canary has given. */
  madeUp: number;
  /** Answers that are missing. */
  missed: number;
  /** Covered targets of which the log has no probe; without a log, 0. */
  unprobed: number;
}

export interface CanaryCheck {
  readonly survey: PublicSurvey;
  readonly plan: Plan;
  readonly folder: string;
  readonly disk: Disk;
  readonly prefixes: readonly Prefix6[];
  readonly canaries: Canaries;
  /** The probes that reached the canaries; undefined if nobody has logged them. */
  readonly log: readonly CanaryProbe[] | undefined;
}

interface Answer {
  readonly classification: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** By agent. */
export async function checkCanaries(check: CanaryCheck): Promise<Map<string, CanaryResult>> {
  const { survey, plan, folder, disk, canaries } = check;
  const rows = await rowsWithin(check);
  const probes = probesByPosition(check);
  const positions = positionsOf(check, rows, probes);
  const results = new Map<string, CanaryResult>();
  for await (const entry of readJournal(disk, join(folder, JOURNAL_FILE))) {
    for (const position of positions.get(entry.shard) ?? []) {
      const at = position - entry.from;
      if (unsentAt(entry.unsent, at, entry.to - entry.from) !== undefined) continue;
      const owner = entry.epochs.find((e) => e.from <= position && position < e.settledUpTo);
      if (owner === undefined) continue;
      const result = results.get(owner.agent) ?? { right: 0, madeUp: 0, missed: 0, unprobed: 0 };
      results.set(owner.agent, result);
      const { words, port } = plan.targetAt(position);
      const row = rows.get(position);
      const days = row === undefined ? [owner.startedAt, owner.updatedAt] : [row.at];
      const expected = new Set(
        days
          .flatMap((day) => [day - CLOCKS_MILLIS, day + CLOCKS_MILLIS])
          .map((millis) => canaries.isOpen(words, port, dayOf(millis))),
      );
      judge(result, { row, expected, hasRst: survey.rows === 'all' });
      const arrived = probes?.get(position)?.some((millis) => {
        return (
          owner.startedAt - CLOCKS_MILLIS <= millis && millis <= owner.updatedAt + CLOCKS_MILLIS
        );
      });
      if (probes !== undefined && arrived !== true) result.unprobed++;
    }
  }
  return results;
}

/** @param expected one answer; both around midnight */
function judge(
  result: CanaryResult,
  {
    row,
    expected,
    hasRst,
  }: {
    readonly row: Answer | undefined;
    readonly expected: ReadonlySet<boolean>;
    readonly hasRst: boolean;
  },
): void {
  if (row !== undefined) {
    if (expected.has(row.classification === 'synack')) result.right++;
    else result.madeUp++;
  } else if (hasRst || !expected.has(false)) result.missed++;
}

/** The rows of canaries, by position. */
async function rowsWithin({ survey, folder, disk, plan, prefixes }: CanaryCheck) {
  const [positionAt, classAt, secondsAt] = ['position', 'classification', 'timestamp_ts'].map(
    (name) => FIELDS.findIndex((field) => field.name === name),
  ) as [number, number, number];
  const rows = new Map<number, Answer>();
  const segments = new SegmentStore(folder, survey.segmentFormat, disk);
  for (const segment of await segments.list()) {
    for await (const row of segments.read(segment)) {
      const position = Number(row[positionAt]);
      if (!prefixes.some((prefix) => hasPrefix(plan.targetAt(position).words, prefix))) continue;
      const at = 1000 * Number(row[secondsAt]);
      rows.set(position, { classification: String(row[classAt]), at });
    }
  }
  return rows;
}

/** When probes reached each position. */
function probesByPosition({ plan, survey, log }: CanaryCheck): Map<number, number[]> | undefined {
  if (log === undefined) return undefined;
  const probes = new Map<number, number[]>();
  for (const { daddr, dport, at } of log) {
    for (const position of positionsAt(plan, survey, daddr, dport))
      probes.set(position, [...(probes.get(position) ?? []), Date.parse(at)]);
  }
  return probes;
}

function positionsAt(plan: Plan, survey: PublicSurvey, address: string, port: number): number[] {
  const target = new Target();
  target.setWords(parseWords(address));
  target.port = port;
  return survey.probes.flatMap(({ name }, probe) => {
    target.probe = probe;
    const position = name === PROBE ? plan.positionOf(target) : -1;
    return position < 0 ? [] : [position];
  });
}

/** The positions to be judged, by shard. */
function positionsOf(
  { plan, survey, prefixes }: CanaryCheck,
  rows: ReadonlyMap<number, Answer>,
  probes: ReadonlyMap<number, number[]> | undefined,
): Map<number, Set<number>> {
  const byShard = new Map<number, Set<number>>();
  const add = (position: number) => {
    if (survey.probes[plan.targetAt(position).probe]?.name !== PROBE) return;
    const shard = Math.floor(position / plan.shardLength);
    byShard.set(shard, (byShard.get(shard) ?? new Set()).add(position));
  };
  for (const position of [...rows.keys(), ...(probes?.keys() ?? [])]) add(position);
  const target = new Target();
  for (const { words, length } of prefixes) {
    const bits = 128 - length;
    if (length < MAPPED_BITS || bits > ENUMERATED_BITS) continue;
    for (let host = 0; host < 2 ** bits; host++) {
      target.setWords([words[0], words[1], words[2], words[3] + host]);
      for (const port of plan.space.parts.ports) {
        Object.assign(target, { port: portIn(port), probe: probeIn(port) });
        const position = plan.positionOf(target);
        if (position >= 0) add(position);
      }
    }
  }
  return byShard;
}
