/**
 * Divides the octets of a list, which arrive in blocks, into lines: one item per line, `#` starts a comment, blank
 * lines are ignored, as in ZMap's lists. A line of the usual form is read directly from the octets; every other line
 * is read as text, by the parsers that also read command lines.
 */
import { Fault } from '../../base/faults.js';

const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const HASH = 0x23;
/** Octets of a line; longer ones are not text lists. */
const LINE_MAX = 2 ** 20;

export abstract class ListReader {
  /** The name of the file, for messages. */
  readonly file: string;
  /** The number of the current line, from 1. */
  line = 0;
  /** The start of a line whose end is in a later block. */
  #rest: Uint8Array[] = [];
  #restOctets = 0;

  constructor(file: string) {
    this.file = file;
  }

  /**
   * Reads a line of the usual form, which starts at an offset, and ends with a line feed within `octets`.
   * @returns the offset behind the line feed; −1 if the line has another form, and then nothing was added
   */
  protected abstract readUsual(octets: Uint8Array, from: number): number;

  /** Reads any other line. @param text without comment, not blank */
  protected abstract readText(text: string): void;

  /** Reads a block of octets. @throws Fault BAD_LIST */
  add(block: Uint8Array): void {
    const end = block.lastIndexOf(LINE_FEED) + 1;
    if (end === 0) {
      this.#keep(new Uint8Array(block));
      return;
    }
    let from = 0;
    if (this.#rest.length > 0) {
      from = block.indexOf(LINE_FEED) + 1;
      this.#keep(block.subarray(0, from));
      this.#readRest();
    }
    this.#readLines(block, from, end);
    if (end < block.length) this.#keep(new Uint8Array(block.subarray(end)));
  }

  /** Reads the last line if it has no line feed. @throws Fault BAD_LIST */
  finish(): void {
    if (this.#rest.length === 0) return;
    this.#keep(Uint8Array.of(LINE_FEED));
    this.#readRest();
  }

  #keep(part: Uint8Array): void {
    this.#rest.push(part);
    this.#restOctets += part.length;
    if (this.#restOctets <= LINE_MAX) return;
    const reason = `the line is longer than ${LINE_MAX} octets: this is not a list`;
    throw new Fault('BAD_LIST', reason, { file: this.file, line: this.line + 1 });
  }

  #readRest(): void {
    const line = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restOctets = 0;
    this.#readLines(line, 0, line.length);
  }

  #readLines(octets: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      this.line++;
      const next = this.readUsual(octets, at);
      if (next >= 0) {
        at = next;
        continue;
      }
      const end = octets.indexOf(LINE_FEED, at);
      const text = Buffer.from(octets.buffer, octets.byteOffset + at, end - at).toString();
      const content = (text.split('#', 1)[0] as string).trim();
      if (content !== '') this.readText(content);
      at = end + 1;
    }
  }
}

/** The first offset from `at` on that is neither a space nor a tab. */
export function skipSpaces(octets: Uint8Array, at: number): number {
  let next = at;
  while (octets[next] === SPACE || octets[next] === TAB) next++;
  return next;
}

/**
 * Skips spaces and a comment at the end of a line.
 * @returns the offset behind the line feed; −1 if the line has other content
 */
export function skipLineEnd(octets: Uint8Array, at: number): number {
  if (octets[at] === LINE_FEED) return at + 1;
  let next = skipSpaces(octets, at);
  while (octets[next] === RETURN) next++;
  if (octets[next] === LINE_FEED) return next + 1;
  return octets[next] === HASH ? octets.indexOf(LINE_FEED, next) + 1 : -1;
}
