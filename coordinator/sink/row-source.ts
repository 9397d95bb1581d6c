/** Reads one row of a result batch: its columns, and its target from the plan. */
import type { Words } from '../../shared/net/endpoint.js';
import { Target } from '../../shared/net/endpoint.js';
import { formatMac } from '../../shared/packet/ethernet.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import {
  type ColumnName,
  FLAG_ERROR,
  FLAG_ICMP,
  FLAG_TCP,
  type ResultBatch,
} from '../../shared/survey/results.js';

const SOURCE = ['source0', 'source1', 'source2', 'source3'] as const;
const RESPONDER = ['responder0', 'responder1', 'responder2', 'responder3'] as const;

/** A row of a batch, with its target from the plan; one object that is moved from row to row. */
export class RowSource {
  readonly #plan: Plan;
  readonly #set: ProbeSet;
  batch!: ResultBatch;
  #columns!: ResultBatch['columns'];
  row = 0;
  position = 0;
  readonly target = new Target();
  code = 0;
  flags = 0;

  constructor(plan: Plan, set: ProbeSet) {
    this.#plan = plan;
    this.#set = set;
  }

  moveTo(batch: ResultBatch, row: number): this {
    this.batch = batch;
    this.#columns = batch.columns;
    this.row = row;
    this.position = batch.shard * this.#plan.shardLength + (batch.columns.offset[row] as number);
    this.#plan.fillTarget(this.position, this.target);
    this.code = this.column('classification');
    this.flags = this.column('flags');
    return this;
  }

  /** Name of the class; null for a code that the survey does not have. */
  get classification(): string | null {
    return this.#set.classNames[this.code] ?? null;
  }
  get isSuccess(): boolean {
    return this.#set.isSuccess(this.target.probe, this.code);
  }
  /** The state of the target according to the reply. */
  get state(): string {
    return this.#set.stateOf(this.target.probe, this.code);
  }
  get probeName(): string {
    return this.#set.all[this.target.probe]?.probe.name ?? '';
  }
  /** The MAC address of a neighbour; null for other replies. */
  get mac(): string | null {
    const isNeighbour = this.#set.all[this.target.probe]?.probe.kind === 'neighbour';
    const octets = this.#columns.data[this.row];
    return isNeighbour && octets !== undefined ? formatMac(octets) : null;
  }
  get hasPort(): boolean {
    return this.#set.all[this.target.probe]?.probe.hasPorts ?? true;
  }
  /** False for the outcome of a connection, of which the kernel shows us no packet. */
  get isPacket(): boolean {
    return this.column('timeToLive') > 0;
  }
  get isTcp(): boolean {
    return (this.flags & FLAG_TCP) !== 0;
  }
  get isIcmp(): boolean {
    return (this.flags & FLAG_ICMP) !== 0;
  }
  get isError(): boolean {
    return (this.flags & FLAG_ERROR) !== 0;
  }
  get isUdp(): boolean {
    return this.column('dataLength') > 0 || this.column('responderPort') > 0;
  }
  /** False for a connection that was refused: then our address is not known. */
  get hasSource(): boolean {
    return this.column('source3') !== 0 || this.column('source0') !== 0;
  }
  /** The first octets of the payload, in hexadecimal. */
  get data(): string {
    return Buffer.from(this.#columns.data[this.row] ?? []).toString('hex');
  }

  column(name: ColumnName): number {
    return this.#columns[name][this.row] as number;
  }
  /**
   * `source`: the four words of our address. `responder`: the four words of the address that sent an ICMP
   * error.
   */
  source(): Words {
    return wordsOf(this, SOURCE);
  }
  responder(): Words {
    return wordsOf(this, RESPONDER);
  }
  /** Microseconds since the Unix epoch. */
  micros(): number {
    return this.batch.timestamp + this.column('timestampDelta');
  }
}

function wordsOf(
  source: RowSource,
  [w0, w1, w2, w3]: readonly [ColumnName, ColumnName, ColumnName, ColumnName],
): Words {
  return [source.column(w0), source.column(w1), source.column(w2), source.column(w3)];
}
