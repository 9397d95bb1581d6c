/**
 * The replies of one epoch of one shard: removes duplicate and late replies, counts positions by class, and
 * gathers rows until they are published as a batch. One octet per position holds the best class so far, so a
 * duplicate reply makes no second row, and counts are exact even for replies that make no row. Positions
 * below `#settledUpTo` are settled: replies to them are late.
 */
import { assert } from '../../shared/base/assert.js';
import type { TcpOptions } from '../../shared/packet/tcp.js';
import { CLASSIFICATION, outranks } from '../../shared/probe/classification.js';
import type { Counts } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import {
  COLUMN_NAMES,
  type Columns,
  emptyColumns,
  OPTION_MASK,
  type ResultBatch,
} from '../../shared/survey/results.js';
import { isUnsent, noneUnsent, unsentName } from '../../shared/survey/unsent.js';
import { OUTCOME, type Reply } from '../interfaces.js';

type Batch = Pick<ResultBatch, 'serial' | 'timestamp' | 'columns'>;

/** How a reply is recorded. */
export interface ReplyRecording {
  /** Microseconds since the Unix epoch. */
  readonly timestamp: number;
  /** True if it makes a row; otherwise it is counted only. */
  readonly isRow: boolean;
  /** `FLAG_…` of the row. */
  readonly flags: number;
}

export class ShardReplies {
  readonly #shard: Shard;
  /** A classification or an `UNSENT` code per position, by offset from the start of the shard. */
  readonly #classes: Uint8Array;
  #settledUpTo: number;
  readonly #counts = { synack: 0, rst: 0, icmp: 0, ...noneUnsent() };
  readonly #columns = emptyColumns();
  #serial = 0;
  /** Microseconds since the Unix epoch: the timestamps of the gathered rows are relative to it. */
  #timestamp = 0;

  constructor(shard: Shard, from: number) {
    assert(
      shard.from <= from && from <= shard.to,
      `an epoch of shard ${shard.number} starts at ${from}`,
    );
    this.#shard = shard;
    this.#classes = new Uint8Array(shard.to - shard.from);
    this.#settledUpTo = from;
  }

  /** Batches taken so far: their serials are [0, batches). */
  get batches(): number {
    return this.#serial;
  }
  /** Settled positions by best class. */
  get counts(): Counts {
    return { ...this.#counts };
  }
  /** Rows gathered and not yet taken. */
  get rowCount(): number {
    return this.#columns.offset.length;
  }

  /** Records a reply to a position of this shard. @returns an `OUTCOME` */
  add(reply: Reply, { timestamp, isRow, flags }: ReplyRecording): number {
    const { position, code } = reply;
    if (position < this.#settledUpTo) return OUTCOME.LATE;
    const offset = position - this.#shard.from;
    const known = this.#classes[offset] as number;
    // A reply to an unsent position answers the probe of another epoch. It does not replace the row that says
    // "unsent", unless it makes a row itself.
    if (isUnsent(known) && !isRow) return OUTCOME.LATE;
    const isNew = known === CLASSIFICATION.NONE || isUnsent(known) || outranks(code, known);
    if (!isNew) return OUTCOME.DUPLICATE;
    this.#classes[offset] = code;
    if (isRow) this.#writeReply(offset, timestamp, flags, reply);
    return OUTCOME.NEW;
  }

  /**
   * Records a position as unsent, unless it is settled, has a reply, or is recorded as unsent already.
   * @param code an `UNSENT` code
   * @param timestamp microseconds since the Unix epoch
   * @returns whether it was recorded
   */
  addUnsent(position: number, code: number, timestamp: number): boolean {
    const offset = position - this.#shard.from;
    if (position < this.#settledUpTo || this.#classes[offset] !== CLASSIFICATION.NONE) return false;
    this.#classes[offset] = code;
    const columns = this.#beginRow(offset, code, timestamp);
    for (const name of COLUMN_NAMES) {
      const isWritten = columns[name].length === columns.offset.length;
      if (!isWritten) columns[name].push(0);
    }
    return true;
  }

  /** Settles positions below `settledUpTo`: they are counted, and their classes no longer change. */
  settle(settledUpTo: number): void {
    assert(settledUpTo <= this.#shard.to, `settled up to ${settledUpTo}, beyond ${this.#shard.to}`);
    for (let position = this.#settledUpTo; position < settledUpTo; position++) {
      const code = this.#classes[position - this.#shard.from];
      if (code === CLASSIFICATION.SYNACK) this.#counts.synack++;
      else if (code === CLASSIFICATION.RST) this.#counts.rst++;
      else if (code === CLASSIFICATION.ICMP) this.#counts.icmp++;
      else if (code !== undefined && isUnsent(code)) this.#counts[unsentName(code)]++;
    }
    this.#settledUpTo = Math.max(this.#settledUpTo, settledUpTo);
  }

  /** Takes at most `rowsMax` gathered rows as the next batch of this epoch; undefined if there are none. */
  takeBatch(rowsMax: number): Batch | undefined {
    if (this.rowCount === 0) return undefined;
    const columns = emptyColumns();
    for (const name of COLUMN_NAMES) columns[name] = this.#columns[name].splice(0, rowsMax);
    return { serial: this.#serial++, timestamp: this.#timestamp, columns };
  }

  #beginRow(offset: number, code: number, timestamp: number): Columns {
    if (this.rowCount === 0) this.#timestamp = timestamp;
    this.#columns.offset.push(offset);
    this.#columns.timestampDelta.push(timestamp - this.#timestamp);
    this.#columns.classification.push(code);
    return this.#columns;
  }

  #writeReply(offset: number, timestamp: number, flags: number, reply: Reply): void {
    const columns = this.#beginRow(offset, reply.code, timestamp);
    const { dissection, options, roundTrip } = reply;
    const { isTcp, responder, tcp, icmp } = dissection;
    const { source } = dissection.flow;
    columns.flags.push(flags);
    columns.source0.push(source.w0);
    columns.source1.push(source.w1);
    columns.source2.push(source.w2);
    columns.source3.push(source.w3);
    columns.sourcePort.push(source.port);
    columns.responder0.push(responder.w0);
    columns.responder1.push(responder.w1);
    columns.responder2.push(responder.w2);
    columns.responder3.push(responder.w3);
    columns.timeToLive.push(dissection.timeToLive);
    columns.identification.push(dissection.identification);
    columns.sequence.push(isTcp ? tcp.sequence : 0);
    columns.acknowledgment.push(isTcp ? tcp.acknowledgment : 0);
    columns.window.push(isTcp ? tcp.window : 0);
    columns.icmpType.push(isTcp ? 0 : icmp.type);
    columns.icmpCode.push(isTcp ? 0 : icmp.code);
    columns.optionMask.push(maskOf(options));
    columns.maximumSegment.push(Math.max(0, options.maximumSegment));
    columns.windowScale.push(Math.max(0, options.windowScale));
    columns.timestampValue.push(Math.max(0, options.timestampValue));
    columns.timestampEcho.push(Math.max(0, options.timestampEcho));
    columns.roundTrip.push(roundTrip + 1);
  }
}

function maskOf(options: TcpOptions): number {
  return (
    (options.maximumSegment >= 0 ? OPTION_MASK.MSS : 0) |
    (options.windowScale >= 0 ? OPTION_MASK.WINDOW_SCALE : 0) |
    (options.sackPermitted >= 0 ? OPTION_MASK.SACK : 0) |
    (options.timestampValue >= 0 ? OPTION_MASK.TIMESTAMPS : 0)
  );
}
