/**
 * Target ranges as people give them: on the command line, in a survey file, or in a list file. IPv4 ranges and
 * IPv6 addresses are columns, so that a list of millions takes little memory; IPv6 prefixes and windows are
 * objects. Each entry keeps its line, so that an error can name file, line and value.
 */
import { type FaultDetails, located } from '../../base/faults.js';
import { Target, type Words } from '../../net/endpoint.js';
import { formatWords, isMapped } from '../../net/ipv6.js';
import { formatRange, parseRange } from '../../net/prefix.js';
import { RecordColumn } from '../../net/record-column.js';
import { parseWindow } from '../space/parse-window.js';
import type { Window } from '../space/window.js';
import { RangeReader } from './range-reader.js';

/** An IPv6 prefix or window, and the place where it was given. */
export interface LocatedWindow {
  readonly window: Window;
  readonly location: FaultDetails;
}

export class TargetList {
  #location: FaultDetails;
  /** The first and the last address of each IPv4 range, host order. */
  readonly ranges = new RecordColumn(2);
  /** IPv6 addresses, each of four words. */
  readonly addresses = new RecordColumn(4);
  readonly windows: LocatedWindow[] = [];
  readonly #rangeLines = new RecordColumn(1);
  readonly #addressLines = new RecordColumn(1);

  constructor(location: FaultDetails) {
    this.#location = location;
  }

  /** The place where it was given: a flag and a value, a line of a survey file, or a list file. */
  get location(): FaultDetails {
    return this.#location;
  }

  /** Sets the place where a single target was given. */
  at(location: FaultDetails): this {
    this.#location = location;
    for (const [i, { window }] of this.windows.entries()) this.windows[i] = { window, location };
    return this;
  }

  get isEmpty(): boolean {
    return this.ranges.size + this.addresses.size + this.windows.length === 0;
  }

  /** Addresses, those that are listed several times included. */
  get size(): number {
    let size = this.addresses.size;
    for (const { window } of this.windows) size += window.size;
    const { words } = this.ranges;
    for (let at = 0; at < words.length; at += 2) {
      size += (words[at + 1] as number) - (words[at] as number) + 1;
    }
    return size;
  }

  /** @param line number of the line; 0 if the list is a single item */
  addRange(first: number, last: number, line: number): void {
    this.ranges.push(first, last);
    this.#rangeLines.push(line);
  }

  addAddress(w0: number, w1: number, w2: number, w3: number, line: number): void {
    this.addresses.push(w0, w1, w2, w3);
    this.#addressLines.push(line);
  }

  /** Adds a range of IPv4, or an IPv6 window, prefix or address. @throws Fault BAD_OPTION */
  addText(text: string, line: number): void {
    if (!text.includes(':')) {
      const { from, to } = parseRange(text);
      this.addRange(from, to - 1, line);
      return;
    }
    const window = parseWindow(text.includes('/') ? text : `${text}/128`, '');
    const location = line === 0 ? this.location : { ...this.location, line, value: text };
    if (window.slots > 1) this.windows.push({ window, location });
    else {
      const { w0, w1, w2, w3 } = onlyAddress(window);
      this.addAddress(w0, w1, w2, w3, line);
    }
  }

  /** Sets the random interface identifiers, which follow from the seed of the survey. */
  seedWindows(seed: string): void {
    for (const [i, { window, location }] of this.windows.entries()) {
      if (window.ids?.text !== 'random') continue;
      this.windows[i] = { window: parseWindow(window.text, seed), location };
    }
  }

  locationOfRange(i: number): FaultDetails {
    const { words } = this.ranges;
    const range = { from: words[2 * i] as number, to: (words[2 * i + 1] as number) + 1 };
    return this.#locationOf(this.#rangeLines.words[i] as number, () => formatRange(range));
  }

  locationOfAddress(i: number): FaultDetails {
    const words = [...this.addresses.words.subarray(4 * i, 4 * i + 4)] as unknown as Words;
    return this.#locationOf(this.#addressLines.words[i] as number, () => formatWords(words));
  }

  #locationOf(line: number, format: () => string): FaultDetails {
    return line === 0 ? this.location : { ...this.location, line, value: format() };
  }
}

/** Reads a target given with a flag or a key of a survey file. @throws Fault BAD_OPTION */
export function parseTarget(text: string, flag: string): TargetList {
  return targetListOf(text, { flag, value: text });
}

/** A list of one target. @throws Fault BAD_OPTION with this location */
export function targetListOf(text: string, location: FaultDetails): TargetList {
  const list = new TargetList(location);
  located(location, () => list.addText(text.trim(), 0));
  return list;
}

/** Reads a list of targets. @throws Fault BAD_LIST with file, line and value */
export class TargetListReader extends RangeReader {
  readonly list: TargetList;

  constructor(file: string) {
    super(file);
    this.list = new TargetList({ file });
  }

  protected override addRange(first: number, last: number): void {
    this.list.addRange(first, last, this.line);
  }

  protected override addPrefix(length: number): boolean {
    const { w0, w1, w2, w3 } = this.scanner;
    if (length < 128 || isMapped([w0, w1, w2, w3])) return false;
    this.list.addAddress(w0, w1, w2, w3, this.line);
    return true;
  }

  protected override addText(item: string): void {
    this.list.addText(item, this.line);
  }
}

function onlyAddress(window: Window): Target {
  const target = new Target();
  window.addressAt(0, target);
  return target;
}
