/**
 * The rows of stored shards: read by DuckDB, from every format, with the chosen fields and filter. Reading
 * fails if the journal lists a shard whose rows are missing.
 */
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { describeError, Fault } from '../../../shared/base/faults.js';
import { IntervalSet } from '../../../shared/base/intervals.js';
import { type Disk, systemDisk } from '../../../shared/host/disk.js';
import type { AliasTests } from '../../../shared/survey/space/alias-tests.js';
import { ALIAS_FIELD_NAMES } from '../../sink/alias-fields.js';
import { quote, rowsOf } from '../../sink/duck.js';
import { BLANK } from '../../sink/field-selection.js';
import type { Value } from '../../sink/fields.js';
import { JOURNAL_FILE, type PublicSurvey } from '../../storage/folder-layout.js';
import { readJournal, type ShardEntry } from '../../storage/journal.js';
import { type Segment, SegmentStore } from '../../storage/segments.js';
import { tagRows, testsOf } from './alias-tags.js';
import { LockedDuck, type Reach, refuseWriting } from './locked-duck.js';

export interface Selection {
  readonly fields: readonly string[];
  /** An SQL condition. */
  readonly filter?: string | undefined;
}

const TRIES = 5;
const FILTER = '--filter';

export class StoredRows {
  readonly #store: SegmentStore;
  readonly #folder: string;
  readonly #shardLength: number;
  readonly #disk: Disk = systemDisk;
  /** Undefined if the survey does not detect aliases. */
  readonly #tests: AliasTests | undefined;
  /** Shards whose rows have been read. */
  readonly #read = new IntervalSet();

  constructor(
    folder: string,
    survey: Pick<PublicSurvey, 'segmentFormat' | 'shardLength' | 'seed' | 'aliasLengths'>,
  ) {
    const { segmentFormat, shardLength } = survey;
    this.#tests = testsOf(survey);
    this.#folder = folder;
    this.#shardLength = shardLength;
    this.#store = new SegmentStore(folder, segmentFormat, systemDisk);
  }

  /**
   * Rows of the shards that were stored since the last call, by shard; the first call reads all. If the
   * survey has alias tests, every call reads all rows.
   */
  async *fresh(selection: Selection): AsyncGenerator<readonly Value[]> {
    if (this.#tests !== undefined) {
      yield* this.#tagged(selection);
      return;
    }
    const shards: number[] = [];
    for await (const { shard, rowCount } of this.#entries()) {
      if (!this.#read.has(shard) && rowCount > 0) shards.push(shard);
    }
    if (shards.length === 0) return;
    shards.sort((a, b) => a - b);
    await using duck = await LockedDuck.open({ folder: this.#store.folder });
    for (let attempt = 1; shards.length > 0; attempt++) {
      const segments = await this.#store.list();
      const segment = segments.find(({ from, to }) => holds(shards, from, to));
      if (segment === undefined) {
        if (attempt < TRIES) continue; // merged while they were listed
        throw this.#missing(shards[0] as number);
      }
      const within = shards.filter((shard) => segment.from <= shard && shard < segment.to);
      let hasBegun = false;
      try {
        for await (const row of this.#rowsOf(duck.connection, { segment, within }, selection)) {
          hasBegun = true;
          yield row;
        }
        for (const shard of within) this.#read.add(shard);
        const isRead = new Set(within);
        shards.splice(0, shards.length, ...shards.filter((shard) => !isRead.has(shard)));
        attempt = 0;
      } catch (error) {
        // The segment was merged into another just before we read it: the list has changed.
        const isGone = (await this.#disk.size(segment.file)) === 0;
        if (!isGone || hasBegun || attempt === TRIES) throw faultOf(error, segment, selection);
      }
    }
  }

  /** Writes all rows as Parquet into a file that exists and is empty. @throws Fault BAD_OPTION */
  async exportTo(file: string, selection: Selection): Promise<void> {
    const location = { flag: FILTER, value: selection.filter };
    const copy = async (connection: DuckDBConnection) => {
      const sql = select('results', selection, this.#tests !== undefined);
      await refuseWriting(connection, sql, location);
      await connection.run(`COPY (${sql}) TO ${quote(file)} (${OPTIONS})`);
    };
    await this.withTable(copy, { writes: file }).catch((error: unknown) => {
      throw refusalOf(error, location);
    });
  }

  /**
   * Calls `work` with a connection on which all rows are the table `results`; calls it again if segments were
   * merged meanwhile.
   * @throws Fault NOT_FOUND if no rows are stored, UNREADABLE_FILE if the rows of a shard are missing
   */
  async withTable<Result>(
    work: (connection: DuckDBConnection) => Promise<Result>,
    reach: Pick<Reach, 'writes' | 'isUnsafe'> = {},
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const segments = await this.#complete();
      if (segments.length === 0) throw new Fault('NOT_FOUND', 'no rows are stored yet');
      try {
        return await this.#locked(segments, work, reach);
      } catch (error) {
        const sizes = await Promise.all(segments.map(({ file }) => this.#disk.size(file)));
        if (attempt === TRIES || sizes.every((size) => size > 0)) throw error;
      }
    }
  }

  #entries(): AsyncIterable<ShardEntry> {
    return readJournal(this.#disk, join(this.#folder, JOURNAL_FILE));
  }

  /** All segments. @throws Fault UNREADABLE_FILE if the journal lists a shard whose rows are in no segment */
  async #complete(): Promise<readonly Segment[]> {
    for (let attempt = 1; ; attempt++) {
      const shards: number[] = [];
      for await (const { shard, rowCount } of this.#entries()) if (rowCount > 0) shards.push(shard);
      const segments = await this.#store.list(); // ascending, and none within another
      shards.sort((a, b) => a - b);
      let at = 0;
      const missing = shards.find((shard) => {
        while (at < segments.length && (segments[at] as Segment).to <= shard) at++;
        const segment = segments[at];
        return segment === undefined || shard < segment.from;
      });
      if (missing === undefined) return segments;
      if (attempt === TRIES) throw this.#missing(missing);
    }
  }

  #missing(shard: number): Fault {
    const reason = `the rows of shard ${shard} are missing, although the journal lists them`;
    return new Fault('UNREADABLE_FILE', reason, { file: this.#folder });
  }

  async #locked<Result>(
    segments: readonly Segment[],
    work: (connection: DuckDBConnection) => Promise<Result>,
    reach: Pick<Reach, 'writes' | 'isUnsafe'>,
  ): Promise<Result> {
    await using duck = await this.#open(segments, reach);
    return await work(duck.connection);
  }

  /** A connection with the table `results`: the rows, with the tags of aliases if there are any. */
  async #open(
    segments: readonly Segment[],
    reach: Pick<Reach, 'writes' | 'isUnsafe'> = {},
  ): Promise<LockedDuck> {
    const table = this.#store.sink.table(segments.map(({ file }) => quote(file)).join(', '));
    const tags = this.#tests === undefined ? '' : TAG_COLUMNS;
    const prepare = `CREATE TEMP VIEW ${tags === '' ? 'results' : 'stored'} AS SELECT * FROM ${table}`;
    const duck = await LockedDuck.open({ folder: this.#store.folder, prepare, ...reach });
    for (const segment of segments) await this.#refuseBomb(duck.connection, segment);
    if (this.#tests === undefined) return duck;
    await tagRows(duck.connection, 'stored', this.#tests);
    await duck.connection.run(`CREATE TEMP VIEW results AS ${tags}`);
    return duck;
  }

  /** All rows, in the order of probing, with the tags of aliases. */
  async *#tagged(selection: Selection): AsyncGenerator<readonly Value[]> {
    const segments = await this.#complete();
    if (segments.length === 0) return;
    await using duck = await this.#open(segments);
    const { connection } = duck;
    const location = { flag: FILTER, value: selection.filter };
    const sql = select('results', selection, true);
    try {
      await refuseWriting(connection, sql, location);
      await connection.run(`CREATE TEMP TABLE chosen AS ${sql} ORDER BY position`);
    } catch (error) {
      throw refusalOf(error, location);
    }
    for await (const rows of rowsOf(connection, 'SELECT * FROM chosen')) {
      for (const row of rows) yield row.map(plainValue);
    }
  }

  /**
   * Refuses a file with more rows than its shards have targets, because a small file can contain any number
   * of equal rows (a decompression bomb).
   * @throws Fault UNREADABLE_FILE
   */
  async #refuseBomb(connection: DuckDBConnection, { from, to, file }: Segment): Promise<void> {
    if (!file.endsWith('.parquet')) return;
    const sql = `SELECT sum(num_rows)::DOUBLE FROM parquet_file_metadata([${quote(file)}])`;
    const [[rows] = []] = (await connection.runAndReadAll(sql)).getRows();
    const most = (to - from) * this.#shardLength;
    if (Number(rows) <= most) return;
    const reason = `it has ${rows} rows, but its shards have only ${most} targets`;
    throw new Fault('UNREADABLE_FILE', reason, { file });
  }

  async *#rowsOf(
    connection: DuckDBConnection,
    { segment, within }: Part,
    selection: Selection,
  ): AsyncGenerator<readonly Value[]> {
    const isPart = within.length < segment.to - segment.from;
    const only = isPart ? `(shard IN (${within.join(', ')}))` : undefined;
    const filters = [only, selection.filter && `(${selection.filter}\n)`];
    const filter = filters.filter((each) => each !== undefined).join(' AND ') || undefined;
    const sql = select(
      this.#store.sink.table(quote(segment.file)),
      { ...selection, filter },
      false,
    );
    const location = { flag: FILTER, value: selection.filter };
    await this.#refuseBomb(connection, segment);
    let source = sql;
    if (selection.filter !== undefined) {
      await refuseWriting(connection, sql, location);
      // The filter is evaluated once: rows are counted before they are read, and a filter may be random.
      await connection.run(`CREATE OR REPLACE TEMP TABLE chosen AS ${sql}`);
      source = 'SELECT * FROM chosen';
    }
    for await (const rows of rowsOf(connection, source)) {
      for (const row of rows) yield row.map(plainValue);
    }
  }
}

/** Selects all rows with their alias tags; rows of IPv4 targets have no votes. */
const TAG_COLUMNS = `SELECT stored.*, coalesce(alias_test, false) AS alias_test, alias_votes,
  coalesce(aliased, false) AS aliased
  FROM stored LEFT JOIN alias_tags ON stored.position::DOUBLE = alias_tags.position`;

/**
 * DuckDB must not use a temporary file of its own, because the file is a temporary one already, and the only
 * one that the sandbox may write.
 */
const OPTIONS = 'FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false';

/** A segment, and those of its shards that are read. */
interface Part {
  readonly segment: Segment;
  readonly within: readonly number[];
}

/** Turns a value of DuckDB into a plain one; integers become numbers, because all of ours are below 2^53. */
function plainValue(value: DuckDBValue): Value {
  if (typeof value === 'bigint') return Number(value);
  return value === null || typeof value !== 'object' ? value : value.toString();
}

function select(table: string, { fields, filter }: Selection, hasTags: boolean): string {
  const isAbsent = (name: string) => !hasTags && ALIAS_FIELD_NAMES.includes(name);
  const column = (name: string) =>
    name === BLANK ? 'NULL' : isAbsent(name) ? `NULL AS "${name}"` : `"${name}"`;
  const names = fields.map(column).join(', ');
  return `SELECT ${names} FROM ${table}${filter === undefined ? '' : ` WHERE ${filter}`}`;
}

/** The fault to report if reading fails: it is about the user's filter if there is one, otherwise about the file. */
function faultOf(error: unknown, { file }: Segment, { filter }: Selection): unknown {
  if (filter !== undefined) return refusalOf(error, { flag: FILTER, value: filter });
  if (error instanceof Fault) return error;
  const [reason = ''] = describeError(error).split('\n');
  return new Fault('UNREADABLE_FILE', `cannot read rows: ${reason}`, { file }, error);
}

function holds(shards: readonly number[], from: number, to: number): boolean {
  return shards.some((shard) => from <= shard && shard < to);
}

/** Turns DuckDB's error about a filter or a query into a fault about the user's input. */
export function refusalOf(error: unknown, { flag, value }: Fault['details']): unknown {
  const message = describeError(error);
  const isUsers =
    /^(Parser|Binder|Catalog|Conversion|Permission|Invalid Input|Out of Range) Error/.test(message);
  if (!isUsers) return error;
  return new Fault('BAD_OPTION', message.split('\n')[0] ?? message, { flag, value }, error);
}
