/**
 * Targets and exclusions as people give them: on the command line, in a survey file, or in list
 * files of ZMap's form (one range per line, `#` starts a comment, blank lines are nothing). Each
 * entry remembers where it came from, so that a refusal can name its place.
 */
import { Fault, type FaultDetails } from '../base/faults.js';
import { formatRange, parseRange } from '../net/prefix.js';
import { type Range, Ranges } from '../net/ranges.js';
import { SPECIAL, specialBlockOf } from '../net/special.js';

export interface ListEntry {
  readonly range: Range;
  readonly place: FaultDetails;
}

/** Reads one range given with a flag or a key of a survey file. @throws Fault BAD_OPTION */
export function parseEntry(text: string, flag: string): ListEntry {
  const place = { flag, value: text };
  return { range: at(place, () => parseRange(text.trim())), place };
}

/** Reads a list file. @throws Fault BAD_LIST with file, line and value */
export function parseList(text: string, file: string): ListEntry[] {
  const entries: ListEntry[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const value = (line.split('#')[0] ?? '').trim();
    if (value === '') continue;
    const place = { file, line: i + 1, value };
    try {
      entries.push({ range: parseRange(value), place });
    } catch (error) {
      throw error instanceof Fault ? new Fault('BAD_LIST', error.message, place, error) : error;
    }
  }
  return entries;
}

export interface Composition {
  readonly ranges: Ranges;
  /** Distinct addresses asked for, and those that fell to special-purpose ranges and exclusions. */
  readonly asked: number;
  readonly special: number;
  readonly excluded: number;
}

/**
 * Targets minus special-purpose ranges that are not allowed, minus exclusions: order is irrelevant
 * and block wins. @throws Fault SPECIAL_TARGETS where a target is nothing but special-purpose: it
 * was asked for by name, so leaving it out silently would be wrong
 */
export function composeTargets(
  targets: readonly ListEntry[],
  exclusions: readonly ListEntry[],
  allowSpecial: readonly ListEntry[],
): Composition {
  const blocked = specialExcept(allowSpecial.map(({ range }) => range));
  for (const { range, place } of targets) refuseSpecial(range, place, blocked);
  const asked = rangesOf(targets);
  const allowed = asked.subtract(blocked);
  const ranges = allowed.subtract(rangesOf(exclusions));
  return {
    ranges,
    asked: asked.size,
    special: asked.size - allowed.size,
    excluded: allowed.size - ranges.size,
  };
}

/** Special-purpose addresses other than those allowed. */
export function specialExcept(allowed: readonly Range[]): Ranges {
  return SPECIAL.subtract(Ranges.of(allowed));
}

function refuseSpecial(range: Range, place: FaultDetails, blocked: Ranges): void {
  const asked = Ranges.of([range]);
  const special = asked.intersect(blocked);
  const [first] = special;
  if (first === undefined || special.size < asked.size) return;
  const block = specialBlockOf(first);
  const name = block === undefined ? 'special-purpose' : `${block.name} (${block.rfc})`;
  const allow = `--allow-special ${formatRange(range)}`;
  throw new Fault('SPECIAL_TARGETS', `${name} is not surveyed unless you say so: ${allow}`, place);
}

function rangesOf(entries: readonly ListEntry[]): Ranges {
  return Ranges.of(entries.map(({ range }) => range));
}

function at<Value>(place: FaultDetails, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof Fault ? error.at(place) : error;
  }
}
