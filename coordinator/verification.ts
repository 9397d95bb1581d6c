/**
 * The proof of coverage: from the plan, the journal and the segments alone, that every position is
 * accounted for exactly once, and every row is where it belongs. It believes nothing that it can work
 * out: shards from the plan, targets from their positions, counts from the rows.
 */
import { join } from 'node:path';
import { IntervalSet } from '../shared/base/intervals.js';
import type { Disk } from '../shared/host/disk.js';
import { formatAddress } from '../shared/net/ipv6.js';
import type { Plan } from '../shared/survey/plan.js';
import { noneUnsent, sumUnsent, UNSENT_NAMES, type UnsentCounts } from '../shared/survey/unsent.js';
import { countUnsent } from '../shared/survey/unsent-positions.js';
import { readJournal, type ShardEntry } from './ledger/journal.js';
import { FIELDS, type Row, type Value } from './sink/row.js';
import { SegmentStore } from './sink/segments.js';
import { LEDGER_FILE, MANIFEST_FILE, type PublicSurvey } from './sink/survey-folder.js';

/** Faults that are listed; more are counted. */
const LISTED_MAX = 20;

export interface Verdict extends Readonly<UnsentCounts> {
  readonly targets: number;
  readonly covered: number;
  /** Of the covered. */
  readonly probed: number;
  readonly shards: number;
  readonly stored: number;
  readonly rows: number;
  readonly faults: number;
  /** The first of them, as sentences. */
  readonly examples: readonly string[];
}

export interface Evidence {
  readonly survey: PublicSurvey;
  readonly plan: Plan;
  readonly folder: string;
  readonly disk: Disk;
}

const CLASSES = ['synack', 'rst', 'icmp'] as const;

export async function verify({ survey, plan, folder, disk }: Evidence): Promise<Verdict> {
  const court = new Court(plan, survey);
  if (plan.hash !== survey.planHash)
    court.blame('the plan is not the one the survey was made with');
  const segments = new SegmentStore(folder, survey.output, disk);
  // While it runs, rows are there before their line is.
  const isOver = (await disk.size(join(folder, MANIFEST_FILE))) > 0;
  const withRows = new Map<number, ShardEntry>();
  for await (const entry of readJournal(disk, join(folder, LEDGER_FILE))) {
    court.hearEntry(entry);
    if (entry.rows > 0) withRows.set(entry.shard, entry);
  }
  for (const segment of await segments.list()) {
    for await (const row of segments.read(segment)) court.hearRow(row, withRows, isOver);
    // No other file has rows of these shards: what was seen of them can be judged and forgotten.
    for (const entry of [...withRows.values()]) {
      if (entry.shard < segment.from || entry.shard >= segment.to) continue;
      court.close(entry);
      withRows.delete(entry.shard);
    }
  }
  for (const entry of withRows.values()) court.close(entry);
  return court.verdict();
}

/** What was seen of one shard's rows. */
interface Seen {
  readonly positions: Set<number>;
  readonly classes: Record<string, number>;
}

class Court {
  readonly #plan: Plan;
  readonly #survey: PublicSurvey;
  readonly #stored = new IntervalSet();
  readonly #seen = new Map<number, Seen>();
  readonly #examples: string[] = [];
  #faults = 0;
  #covered = 0;
  readonly #unsent = noneUnsent();
  #rows = 0;

  constructor(plan: Plan, survey: PublicSurvey) {
    this.#plan = plan;
    this.#survey = survey;
  }

  blame(fault: string): void {
    this.#faults++;
    if (this.#examples.length < LISTED_MAX) this.#examples.push(fault);
  }

  hearEntry({ shard, from, to, covered, reports, unsent }: ShardEntry): void {
    const { shardCount } = this.#plan;
    if (shard >= shardCount) {
      this.blame(`shard ${shard} is not in the plan`);
      return;
    }
    if (!this.#stored.add(shard)) {
      this.blame(`shard ${shard} is stored twice`);
      return;
    }
    const planned = this.#plan.shard(shard);
    if (from !== planned.from || to !== planned.to) {
      this.blame(`shard ${shard} is [${from}, ${to}), planned [${planned.from}, ${planned.to})`);
    }
    let position = from;
    for (const report of reports) {
      if (report.from !== position) {
        this.blame(
          `shard ${shard}: epoch ${report.epoch} begins at ${report.from}, not at ${position}`,
        );
      }
      position = report.settled;
      const { sent, probes, synack, rst, icmp } = report;
      const settled = report.settled - report.from;
      const isPossible =
        settled >= 0 &&
        report.settled <= sent &&
        probes <= sent - report.from &&
        sumUnsent(report) + synack + rst + icmp <= settled;
      if (!isPossible) {
        this.blame(`shard ${shard}: epoch ${report.epoch} reports more than it can have done`);
      }
      for (const name of UNSENT_NAMES) this.#unsent[name] += report[name];
    }
    if (position !== covered) {
      this.blame(`shard ${shard}: its epochs end at ${position}, covered to ${covered}`);
    }
    this.#covered += covered - from;
    const there = countUnsent(unsent, to - from);
    for (const name of UNSENT_NAMES) {
      const reported = reports.reduce((sum, report) => sum + report[name], 0);
      if (there[name] === reported) continue;
      this.blame(`shard ${shard}: ${there[name]} of ${reported} positions noted as ${name}`);
    }
  }

  /** @param isOver whether every row must be of a stored shard by now */
  hearRow(row: Row, entries: ReadonlyMap<number, ShardEntry>, isOver: boolean): void {
    const { shard, position, saddr, sport, agent, classification } = named(row);
    const entry = entries.get(Number(shard));
    const at = Number(position);
    const what = `row ${String(saddr)} port ${String(sport)}`;
    if (entry === undefined && !isOver) return;
    this.#rows++;
    if (entry === undefined) {
      this.blame(`${what}: shard ${String(shard)} is not stored`);
      return;
    }
    const owner = entry.reports.find(({ from, settled }) => from <= at && at < settled);
    if (owner === undefined) {
      this.blame(`${what}: position ${at} is not covered`);
      return;
    }
    if (owner.agent !== agent) this.blame(`${what}: ${String(agent)} does not own position ${at}`);
    const target = this.#plan.targetAt(at);
    if (formatAddress(target) !== saddr || target.port !== sport) {
      this.blame(`${what}: position ${at} is ${formatAddress(target)} port ${target.port}`);
    }
    const seen = this.#seen.get(entry.shard) ?? { positions: new Set(), classes: {} };
    this.#seen.set(entry.shard, seen);
    if (seen.positions.has(at)) this.blame(`${what}: position ${at} has two rows`);
    seen.positions.add(at);
    const name = String(classification);
    seen.classes[name] = (seen.classes[name] ?? 0) + 1;
  }

  /** All rows have been heard. */
  close({ shard, rows, reports }: ShardEntry): void {
    const seen = this.#seen.get(shard);
    this.#seen.delete(shard);
    const count = seen?.positions.size ?? 0;
    if (count !== rows) this.blame(`shard ${shard} has ${count} rows, ${rows} were stored`);
    const reported = this.#survey.report === 'all' ? CLASSES : CLASSES.slice(0, 1);
    for (const name of reported) {
      const settled = reports.reduce((sum, report) => sum + report[name], 0);
      const there = seen?.classes[name] ?? 0;
      if (settled !== there) this.blame(`shard ${shard}: ${there} of ${settled} ${name} rows`);
    }
  }

  verdict(): Verdict {
    return {
      targets: this.#plan.size,
      covered: this.#covered,
      probed: this.#covered - sumUnsent(this.#unsent),
      ...this.#unsent,
      shards: this.#plan.shardCount,
      stored: this.#stored.size,
      rows: this.#rows,
      faults: this.#faults,
      examples: this.#examples,
    };
  }
}

const PLACES = new Map(FIELDS.map(({ name }, i) => [name, i]));

function named(row: Row): Record<string, Value> {
  const names = ['shard', 'position', 'saddr', 'sport', 'agent', 'classification'];
  return Object.fromEntries(names.map((name) => [name, row[PLACES.get(name) ?? 0] ?? null]));
}
