/** Reads a list of which single lines may be unreadable: they are skipped, and counted. */
import { Fault } from '../../base/faults.js';
import { ListReader } from './list-reader.js';

const BAD_LINES_NAMED = 5;

export abstract class TolerantReader extends ListReader {
  /** The number of lines that could not be read. */
  badCount = 0;
  /** The first of them, by number. */
  readonly badLines: number[] = [];

  /** Reads a line of any form. @throws Fault BAD_OPTION */
  protected abstract addText(text: string): void;

  protected override readText(text: string): void {
    try {
      this.addText(text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.badCount++;
      if (this.badLines.length < BAD_LINES_NAMED) this.badLines.push(this.line);
    }
  }
}
