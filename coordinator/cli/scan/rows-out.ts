/**
 * Writes the rows of a scan to stdout within a second, before their shard is stored, or to a file at the end,
 * as a whole. Rows on stdout cannot be withdrawn, so a further row of the same target (after a crash, for
 * example) is marked `repeat` unless its reply outranks the earlier ones, as a SYN-ACK outranks a reset. A
 * limit on rows is met exactly; each target counts once towards it.
 */
import { Fault } from '../../../shared/base/faults.js';
import { ReaderGone, writeOut } from '../../../shared/command/output.js';
import { outranks, SILENT } from '../../../shared/probe/probe-set.js';
import { FLAG_REPEAT, type ResultBatch } from '../../../shared/survey/results.js';
import { isUnsent } from '../../../shared/survey/unsent.js';
import { fieldIndices } from '../../sink/field-selection.js';
import { rowOf } from '../../sink/fields.js';
import type { RowFilter } from '../../sink/row-filter.js';
import { RowSource } from '../../sink/row-source.js';
import type { TextFormat } from '../../sink/sink.js';
import { sinkNamed } from '../../sink/sink-registry.js';
import type { SurveyRun } from '../../survey/survey-run.js';
import { type OutputFile, openOutput } from '../output/output-file.js';
import { writeRows } from '../stored/results.js';
import { StoredRows } from '../stored/stored-rows.js';

export interface RowsWanted {
  /** Undefined to write rows to stdout as they arrive. */
  readonly file: string | undefined;
  /** Name of a sink. */
  readonly module: string;
  readonly fields: readonly string[];
  /** Which rows are printed and counted. */
  readonly filter?: RowFilter | undefined;
  readonly hasHeader: boolean;
  readonly rowsMax?: number | undefined;
  /** True if rows have fields that are known only at the end. */
  readonly isTagged: boolean;
}

export interface RowsOutParts {
  /** Called when a batch reaches the limit of rows, and again for each later batch. */
  readonly onEnough: () => void;
  readonly onReaderGone: () => void;
}

/** A target that has answered. */
interface Answered {
  /** The class of its best reply. */
  code: number;
  /** True if a row of it was written. */
  isCounted: boolean;
}

export class RowsOut {
  readonly #wanted: RowsWanted;
  readonly #deps: RowsOutParts;
  /** The output file, written at the end. */
  readonly #file: OutputFile | undefined;
  readonly #format: TextFormat | undefined;
  readonly #indices: readonly number[];
  /** Targets that have answered, by shard and offset; those of stored shards are dropped. */
  readonly #seen = new Map<number, Map<number, Answered>>();
  #rows = 0;
  #hasReader = true;
  #hasBegun = false;
  /** The reason why stdout cannot be written, other than a closed reader. */
  #fault: Fault | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(wanted: RowsWanted, file: OutputFile | undefined, deps: RowsOutParts) {
    this.#wanted = wanted;
    this.#file = file;
    this.#deps = deps;
    this.#format = sinkNamed(wanted.module).text;
    this.#indices = fieldIndices(wanted.fields);
  }

  /**
   * @throws Fault BAD_OPTION if the format or the filter does not fit this output, UNWRITABLE if the file
   * cannot be written at all
   */
  static async open(wanted: RowsWanted, deps: RowsOutParts): Promise<RowsOut> {
    const { file, module, isTagged } = wanted;
    const isText = sinkNamed(module).text !== undefined;
    if (file === undefined && !isText) {
      const reason = 'needs a file to write to: -o FILE, or -o - for stdout at the end';
      throw new Fault('BAD_OPTION', reason, { flag: '--output-module', value: module });
    }
    const isStreamed = !isTagged && (file === undefined || (file === '-' && isText));
    if (isStreamed && wanted.filter !== undefined && wanted.filter.test === undefined) {
      const reason =
        'SQL needs stored rows: write them to a file (-o), or use ZMap’s language: success = 1 && ttl < 64';
      throw new Fault('BAD_OPTION', reason, { flag: '--output-filter', value: wanted.filter.sql });
    }
    if (wanted.filter !== undefined && wanted.filter.test === undefined && wanted.rowsMax) {
      const reason =
        'rows that pass an SQL filter cannot be counted while they arrive; ' +
        'write the filter in ZMap’s language instead';
      throw new Fault('BAD_OPTION', reason, { flag: '--max-results', value: `${wanted.rowsMax}` });
    }
    return new RowsOut(wanted, isStreamed ? undefined : await openOutput(file ?? '-'), deps);
  }

  /** Writes the rows of a batch; resolves once they are written, so the next batch waits for a slow reader. */
  take(run: SurveyRun, batch: ResultBatch): Promise<void> {
    this.#writing = this.#take(run, batch);
    return this.#writing;
  }

  async #take(run: SurveyRun, batch: ResultBatch): Promise<void> {
    if (run.isStored(batch.shard)) return; // a duplicate delivery: its rows are written
    this.#dropStored(run);
    const text = this.#textOf(run, batch);
    if (this.#file === undefined && text !== '') await this.#write(this.#header() + text);
    if (this.#rows >= this.#rowsMax) this.#deps.onEnough();
  }

  /**
   * Writes the file, if there is one.
   * @returns the place of the rows, for people
   * @throws Fault UNWRITABLE, which names the folder where the rows are stored anyway
   */
  async finish(run: SurveyRun): Promise<Record<string, string>> {
    const { folder, survey } = run;
    await this.#writing;
    if (this.#file === undefined) await this.#write(this.#header());
    if (this.#fault !== undefined) throw elsewhere(this.#fault, folder.path);
    if (this.#file === undefined) return { segments: folder.segments.folder };
    const { fields, filter, hasHeader, rowsMax } = this.#wanted;
    const writing = { format: this.#format, fields, filter: filter?.sql, hasHeader, rowsMax };
    try {
      await writeRows(new StoredRows(folder.path, survey), writing, this.#file);
    } catch (error) {
      if (error instanceof ReaderGone) return { segments: folder.segments.folder };
      // No row was stored, so there is none to write.
      if (error instanceof Fault && error.code === 'NOT_FOUND') return {};
      if (!(error instanceof Fault && error.code === 'UNWRITABLE')) throw error;
      throw elsewhere(error, folder.path);
    }
    return this.#file.isStdout ? {} : { output: this.#file.name };
  }

  get #rowsMax(): number {
    return this.#wanted.rowsMax ?? Number.POSITIVE_INFINITY;
  }

  /**
   * The header with the field names at the first call, later an empty text. It is written before the first
   * row, or at the end if there are no rows.
   */
  #header(): string {
    const { hasHeader, fields } = this.#wanted;
    const header = hasHeader && !this.#hasBegun ? (this.#format?.header(fields) ?? '') : '';
    this.#hasBegun = true;
    return header;
  }

  #textOf(run: SurveyRun, batch: ResultBatch): string {
    const { fields, filter } = this.#wanted;
    const source = new RowSource(run.plan, run.probeSet);
    const { offset, flags, classification } = batch.columns;
    const seen = this.#seen.get(batch.shard) ?? new Map<number, Answered>();
    this.#seen.set(batch.shard, seen);
    let text = '';
    for (let row = 0; row < offset.length && this.#rows < this.#rowsMax; row++) {
      const code = classification[row] as number;
      if (isUnsent(code)) continue; // no probe was sent
      const at = offset[row] as number;
      const answered = seen.get(at) ?? { code: SILENT, isCounted: false };
      seen.set(at, answered);
      // A SYN-ACK after a reset is not marked as a repeat, because it is the reply that the survey looks
      // for.
      if (outranks(code, answered.code)) answered.code = code;
      else flags[row] = (flags[row] as number) | FLAG_REPEAT;
      const values = filter?.test && rowOf(source.moveTo(batch, row));
      if (values !== undefined && filter?.test?.(values) === false) continue;
      if (!answered.isCounted) this.#rows++;
      answered.isCounted = true;
      if (this.#file !== undefined || this.#format === undefined) continue;
      text += this.#format.line(values ?? rowOf(source.moveTo(batch, row)), fields, this.#indices);
    }
    return text;
  }

  #dropStored(run: SurveyRun): void {
    for (const shard of this.#seen.keys()) if (run.isStored(shard)) this.#seen.delete(shard);
  }

  /**
   * Writes to stdout. Never throws: without a reader, or after an error, nothing more is written, and replies
   * are still stored.
   */
  async #write(text: string): Promise<void> {
    if (!this.#hasReader || text === '') return;
    try {
      await writeOut(text);
    } catch (error) {
      if (error instanceof Fault) this.#fault = error;
      else if (!(error instanceof ReaderGone)) throw error;
      this.#hasReader = false;
      this.#deps.onReaderGone();
    }
  }
}

function elsewhere(fault: Fault, folder: string): Fault {
  const remedy = `the rows are in ${folder}; write them elsewhere with: transect results ${folder} -o FILE`;
  return new Fault(fault.code, `${fault.message}; ${remedy}`, fault.details, fault);
}
