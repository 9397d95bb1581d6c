/**
 * The lines of list files, in ZMap's form: one item per line, `#` starts a comment, blank lines are ignored;
 * several items on a line are separated by commas, as masscan has them. Each item keeps its location, so that
 * an error can name file, line and value.
 */
import { Fault, type FaultDetails } from '../base/faults.js';

/** Reads a list strictly. @throws Fault BAD_LIST with file, line and value, at the first bad item */
export function readStrictly<Item>(
  text: string,
  file: string,
  parse: (value: string, location: FaultDetails) => Item,
): Item[] {
  const items: Item[] = [];
  for (const [line, content] of linesOf(text)) {
    for (const value of content.split(',').map((each) => each.trim())) {
      const location = { file, line, value };
      try {
        items.push(parse(value, location));
      } catch (error) {
        throw error instanceof Fault
          ? new Fault('BAD_LIST', error.message, location, error)
          : error;
      }
    }
  }
  return items;
}

/** Reads a list tolerantly, one item per line. @returns the items, and the numbers of the bad lines */
export function readTolerantly<Item>(
  text: string,
  parse: (value: string) => Item,
): { readonly items: readonly Item[]; readonly badLines: readonly number[] } {
  const items: Item[] = [];
  const badLines: number[] = [];
  for (const [line, value] of linesOf(text)) {
    try {
      items.push(parse(value));
    } catch {
      badLines.push(line);
    }
  }
  return { items, badLines };
}

/** Runs a parser; a fault that it throws gets the location of the item. @throws Fault */
export function located<Value>(location: FaultDetails, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw error instanceof Fault ? error.at(location) : error;
  }
}

/** Lines with content, with their numbers from 1. */
function* linesOf(text: string): Generator<[line: number, content: string]> {
  let line = 0;
  for (const raw of text.split('\n')) {
    line++;
    const content = (raw.split('#', 1)[0] ?? '').trim();
    if (content !== '') yield [line, content];
  }
}
