/**
 * The replies of one epoch of one shard: removes duplicate and late replies, counts positions by class, and
 * gathers rows until they are published as a batch. One octet per position holds the best class so far, so a
 * duplicate reply makes no second row (dedup), and counts are exact even for replies that make no row. Positions
 * below `#settledUpTo` are settled: replies to them are late.
 */
import { assert } from '../../shared/base/assert.js';
import { Dissection } from '../../shared/packet/dissect.js';
import { PROTOCOL_ICMP, PROTOCOL_UDP } from '../../shared/packet/ipv4.js';
import { NEXT_ICMPV6 } from '../../shared/packet/ipv6.js';
import type { TcpOptions } from '../../shared/packet/tcp.js';
import { UDP_OCTETS } from '../../shared/packet/udp.js';
import { outranks, SILENT } from '../../shared/probe/probe-set.js';
import type { Counts } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import {
  COLUMN_NAMES,
  type ColumnName,
  type Columns,
  DATA_OCTETS_MAX,
  emptyColumns,
  FLAG_DF,
  FLAG_ERROR,
  FLAG_ICMP,
  FLAG_TCP,
  NO_DATA,
  OPTION_MASK,
  type ResultBatch,
  usualValue,
} from '../../shared/survey/results.js';
import { isUnsent, noneUnsent, unsentName } from '../../shared/survey/unsent.js';
import { type DirectReply, OUTCOME, type Reply } from '../interfaces.js';

type Batch = Pick<ResultBatch, 'serial' | 'timestamp' | 'columns'>;

/**
 * Maximum octets of payloads in one batch, so that the batch with all its columns stays below NATS's limit of
 * 1 MiB.
 */
const BATCH_DATA_OCTETS = 400_000;

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
  /** The code of a class, or an `UNSENT` code, per position, by offset from the start of the shard. */
  readonly classes: Uint8Array;
  #settledUpTo: number;
  readonly #unsent = noneUnsent();
  /** Settled positions by code. */
  readonly #settled: Float64Array;
  readonly #classNames: readonly string[];
  readonly #columns = emptyColumns();
  #serial = 0;
  /** Microseconds since the Unix epoch: the timestamps of the gathered rows are relative to it. */
  #timestamp = 0;

  /** @param classNames by code, from a `ProbeSet` */
  constructor(shard: Shard, from: number, classNames: readonly string[]) {
    assert(
      shard.from <= from && from <= shard.to,
      `an epoch of shard ${shard.number} starts at ${from}`,
    );
    this.#shard = shard;
    // Shared, because sender threads read it before they repeat probes.
    this.classes = new Uint8Array(new SharedArrayBuffer(shard.to - shard.from));
    this.#settledUpTo = from;
    this.#classNames = classNames;
    this.#settled = new Float64Array(classNames.length);
  }

  /** Batches taken so far: their serials are [0, batches). */
  get batches(): number {
    return this.#serial;
  }
  /** Settled positions by best class. */
  get counts(): Counts {
    const replies: Record<string, number> = {};
    for (const [code, name] of this.#classNames.entries()) {
      const count = this.#settled[code] as number;
      if (code !== SILENT && count > 0) replies[name] = count;
    }
    return { replies, ...this.#unsent };
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
    const known = this.classes[offset] as number;
    // A reply to an unsent position answers the probe of another epoch. It does not replace the row that says
    // "unsent", unless it makes a row itself.
    if (isUnsent(known) && !isRow) return OUTCOME.LATE;
    const isNew = outranks(code, known);
    if (!isNew) return OUTCOME.DUPLICATE;
    this.classes[offset] = code;
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
    if (position < this.#settledUpTo || this.classes[offset] !== SILENT) return false;
    this.classes[offset] = code;
    const columns = this.#beginRow(offset, code, timestamp);
    for (const name of COLUMN_NAMES) {
      const isWritten = columns[name].length === columns.offset.length;
      if (!isWritten) columns[name].push(usualValue(name));
    }
    columns.data.push(NO_DATA);
    return true;
  }

  /** Settles positions below `settledUpTo`: they are counted, and their classes no longer change. */
  settle(settledUpTo: number): void {
    assert(settledUpTo <= this.#shard.to, `settled up to ${settledUpTo}, beyond ${this.#shard.to}`);
    for (let position = this.#settledUpTo; position < settledUpTo; position++) {
      const code = this.classes[position - this.#shard.from] as number;
      if (isUnsent(code)) this.#unsent[unsentName(code)]++;
      else this.#settled[code] = (this.#settled[code] as number) + 1;
    }
    this.#settledUpTo = Math.max(this.#settledUpTo, settledUpTo);
  }

  /** Takes at most `rowsMax` gathered rows as the next batch of this epoch; undefined if there are none. */
  takeBatch(rowsMax: number): Batch | undefined {
    if (this.rowCount === 0) return undefined;
    const columns = emptyColumns();
    const rows = this.#rowsWithin(rowsMax);
    for (const name of COLUMN_NAMES) columns[name] = this.#columns[name].splice(0, rows);
    columns.data = this.#columns.data.splice(0, rows);
    return { serial: this.#serial++, timestamp: this.#timestamp, columns };
  }

  /**
   * Number of rows in the next batch: at most `rowsMax`, and fewer if their payloads would make the message
   * too large.
   */
  #rowsWithin(rowsMax: number): number {
    const { data } = this.#columns;
    let octets = 0;
    for (let row = 0; row < Math.min(rowsMax, data.length); row++) {
      octets += (data[row] as Uint8Array).length;
      if (octets > BATCH_DATA_OCTETS) return Math.max(1, row);
    }
    return rowsMax;
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
    const { content, roundTrip } = reply;
    columns.roundTrip.push(roundTrip + 1);
    if (content instanceof Dissection) writePacket(columns, content, flags);
    else writeDirect(columns, content, flags);
  }
}

function writePacket(columns: Columns, dissection: Dissection, flags: number): void {
  const { isTcp, responder, tcp, icmp, tcpOptions: options } = dissection;
  const isIcmp = hasIcmp(dissection);
  const { source } = dissection.flow;
  columns.flags.push(flags | flagsOf(dissection));
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
  columns.typeOfService.push(dissection.typeOfService);
  columns.identification.push(dissection.identification);
  columns.sequence.push(isTcp ? tcp.sequence : 0);
  columns.acknowledgment.push(isTcp ? tcp.acknowledgment : 0);
  columns.window.push(isTcp ? tcp.window : 0);
  columns.icmpType.push(isIcmp ? icmp.type : 0);
  columns.icmpCode.push(isIcmp ? icmp.code : 0);
  columns.optionMask.push(maskOf(options));
  columns.optionLayout.push(options.layout);
  columns.maximumSegment.push(Math.max(0, options.maximumSegment));
  columns.windowScale.push(Math.max(0, options.windowScale));
  columns.timestampValue.push(Math.max(0, options.timestampValue));
  columns.timestampEcho.push(Math.max(0, options.timestampEcho));
  const isUdp = dissection.protocol === PROTOCOL_UDP && !dissection.isError;
  columns.dataLength.push(isUdp ? dissection.udp.length - UDP_OCTETS : 0);
  columns.responderPort.push(isUdp ? dissection.responderPort : 0);
  columns.data.push(isUdp ? payloadOf(dissection) : NO_DATA);
}

/** The columns of a reply without a packet: addresses, our port, and data. */
function writeDirect(columns: Columns, reply: DirectReply, flags: number): void {
  const { source, target, data = NO_DATA } = reply;
  const values: Partial<Record<ColumnName, number>> = {
    flags,
    sourcePort: source.port,
    source0: source.w0,
    source1: source.w1,
    source2: source.w2,
    source3: source.w3,
    responder0: target.w0,
    responder1: target.w1,
    responder2: target.w2,
    responder3: target.w3,
  };
  for (const name of COLUMN_NAMES) {
    if (columns[name].length < columns.offset.length) {
      columns[name].push(values[name] ?? usualValue(name));
    }
  }
  columns.data.push(data);
}

/** True for ICMP errors, and for the replies of the ICMP probes. */
function hasIcmp({ isError, protocol }: Dissection): boolean {
  return isError || protocol === PROTOCOL_ICMP || protocol === NEXT_ICMPV6;
}

function flagsOf(dissection: Dissection): number {
  return (
    (dissection.isUnfragmentable ? FLAG_DF : 0) |
    (dissection.isTcp ? FLAG_TCP : 0) |
    (hasIcmp(dissection) ? FLAG_ICMP : 0) |
    (dissection.isError ? FLAG_ERROR : 0)
  );
}

/** A copy of the first octets of a datagram's payload, as far as they were captured. */
function payloadOf({ view, at, end, udp }: Dissection): Uint8Array {
  const from = at + UDP_OCTETS;
  const to = Math.min(end, at + udp.length, from + DATA_OCTETS_MAX);
  return new Uint8Array(view.buffer, view.byteOffset + from, Math.max(0, to - from)).slice();
}

function maskOf(options: TcpOptions): number {
  return (
    (options.maximumSegment >= 0 ? OPTION_MASK.MSS : 0) |
    (options.windowScale >= 0 ? OPTION_MASK.WINDOW_SCALE : 0) |
    (options.sackPermitted >= 0 ? OPTION_MASK.SACK : 0) |
    (options.timestampValue >= 0 ? OPTION_MASK.TIMESTAMPS : 0)
  );
}
