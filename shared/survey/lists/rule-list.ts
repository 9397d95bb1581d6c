/**
 * Block rules as people give them: on the command line, in a survey file, or in a list file. The rules are columns, so
 * that a list of millions takes little memory; each keeps its line, so that a lookup can name the rule that
 * kept an address out of a survey.
 */
import { type FaultDetails, located } from '../../base/faults.js';
import type { Words } from '../../net/endpoint.js';
import { clearBehind, formatIpv6, isMapped, lastOf, parsePrefix6 } from '../../net/ipv6.js';
import { formatRange, parseRange } from '../../net/prefix.js';
import { RANGE_WORDS } from '../../net/ranges6.js';
import { RecordColumn } from '../../net/record-column.js';
import { RangeReader } from './range-reader.js';

export class RuleList {
  /** The place where it was given: a flag and a value, a line of a survey file, or a list file. */
  readonly location: FaultDetails;
  /** The first and the last address of each IPv4 range, host order. */
  readonly ranges = new RecordColumn(2);
  /** The first and the last address of each IPv6 prefix, four words each. */
  readonly prefixes = new RecordColumn(RANGE_WORDS);
  readonly rangeLines = new RecordColumn(1);
  readonly prefixLines = new RecordColumn(1);

  constructor(location: FaultDetails) {
    this.location = location;
  }

  /** @param line number of the line; 0 if the list is a single rule */
  addRange(first: number, last: number, line: number): void {
    this.ranges.push(first, last);
    this.rangeLines.push(line);
  }

  addPrefix(first: Words, last: Words, line: number): void {
    this.prefixes.append([...first, ...last]);
    this.prefixLines.push(line);
  }

  /** Adds a range of IPv4, or an IPv6 prefix or address. @throws Fault BAD_OPTION */
  addText(text: string, line: number): void {
    if (!text.includes(':')) {
      const { from, to } = parseRange(text);
      this.addRange(from, to - 1, line);
      return;
    }
    const prefix = parsePrefix6(text.includes('/') ? text : `${text}/128`);
    const last = lastOf(prefix);
    // Targets of IPv4 are compared with IPv4 rules only.
    if (isMapped(prefix.words) && isMapped(last)) this.addRange(prefix.words[3], last[3], line);
    else this.addPrefix(prefix.words, last, line);
  }

  /** The shortest text of each rule. */
  get texts(): string[] {
    const texts: string[] = [];
    for (let i = 0; i < this.ranges.size; i++) texts.push(rangeText(this.ranges.words, i));
    for (let i = 0; i < this.prefixes.size; i++) texts.push(prefixText(this.prefixes.words, i));
    return texts;
  }
}

/** The shortest text of IPv4 range `i` in a column. */
export function rangeText(ranges: Uint32Array, i: number): string {
  return formatRange({ from: ranges[2 * i] as number, to: (ranges[2 * i + 1] as number) + 1 });
}

/** The text of IPv6 prefix `i` in a column. */
export function prefixText(prefixes: Uint32Array, i: number): string {
  const [f0 = 0, f1 = 0, f2 = 0, f3 = 0, l0 = 0, l1 = 0, l2 = 0, l3 = 0] = prefixes.subarray(
    i * RANGE_WORDS,
    (i + 1) * RANGE_WORDS,
  );
  const free = [f0 ^ l0, f1 ^ l1, f2 ^ l2, f3 ^ l3];
  const at = free.findIndex((word) => word !== 0);
  const length = at < 0 ? 128 : 32 * at + Math.clz32(free[at] as number);
  return `${formatIpv6([f0, f1, f2, f3])}/${length}`;
}

/** Reads a rule given with a flag or a key of a survey file. @throws Fault BAD_OPTION */
export function parseBlock(text: string, flag: string): RuleList {
  return ruleListOf(text, { flag, value: text });
}

/** A list of one rule. @throws Fault BAD_OPTION with this location */
export function ruleListOf(text: string, location: FaultDetails): RuleList {
  const list = new RuleList(location);
  located(location, () => list.addText(text.trim(), 0));
  return list;
}

/** Reads a list of rules. @throws Fault BAD_LIST with file, line and value */
export class RuleListReader extends RangeReader {
  readonly list: RuleList;

  constructor(file: string) {
    super(file);
    this.list = new RuleList({ file });
  }

  protected override addRange(first: number, last: number): void {
    this.list.addRange(first, last, this.line);
  }

  protected override addPrefix(length: number): boolean {
    const { w0, w1, w2, w3 } = this.scanner;
    const words = clearBehind([w0, w1, w2, w3], length);
    if (isMapped(words)) return false;
    this.list.addPrefix(words, lastOf({ words, length }), this.line);
    return true;
  }

  protected override addText(item: string): void {
    this.list.addText(item, this.line);
  }
}
