/**
 * Reads lists from files and stdin, and resolves host names; each input is read, and each name is resolved,
 * only once. Bad lines are reported.
 */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { text as readStream } from 'node:stream/consumers';
import { describeError, Fault } from '../../../shared/base/faults.js';
import type { Target } from '../../../shared/net/endpoint.js';
import { type Listed, parseHitlist, parsePairs } from '../../../shared/survey/hitlist.js';
import { type BlockEntry, parseBlockList } from '../../../shared/survey/policy/blocklist.js';
import {
  parseTarget,
  parseTargetList,
  type TargetEntry,
} from '../../../shared/survey/target-list.js';
import { plural } from '../output/print.js';

/** Labels of letters, digits and inner hyphens, with a letter somewhere (RFC 1123 §2.1). */
const NAME = /^(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?$/i;
const BAD_LINES_NAMED = 5;
const STDIN = '-';

/** Reads a list of targets, or stdin for `-`. @throws Fault UNREADABLE_FILE or BAD_LIST */
export async function readTargetList(file: string, flag: string): Promise<TargetEntry[]> {
  return parseTargetList(await readText(file, flag), nameOf(file));
}

/** Reads a list of exclusions, or stdin for `-`. @throws Fault UNREADABLE_FILE or BAD_LIST */
export async function readBlockList(file: string, flag: string): Promise<BlockEntry[]> {
  return parseBlockList(await readText(file, flag), nameOf(file));
}

/** Reads addresses, one per line; bad lines are reported through `note`. @throws Fault UNREADABLE_FILE */
export async function readHitlist(
  file: string,
  flag: string,
  note: (text: string) => void,
): Promise<readonly Target[]> {
  return printed(parseHitlist(await readText(file, flag)), nameOf(file), note);
}

/** Reads (address, port) pairs, one per line; bad lines are reported. @throws Fault UNREADABLE_FILE */
export async function readPairs(
  file: string,
  flag: string,
  note: (text: string) => void,
): Promise<readonly Target[]> {
  return printed(parsePairs(await readText(file, flag)), nameOf(file), note);
}

/**
 * Reads one argument: a target, or several separated by commas. A host name stands for all of its addresses;
 * it is resolved once, here, and the result is reported. @throws Fault BAD_OPTION
 */
export async function readTarget(
  text: string,
  flag: string,
  note: (text: string) => void,
): Promise<TargetEntry[]> {
  if (text.includes(',')) {
    const parts = text.split(',').map((part) => readTarget(part.trim(), flag, note));
    return (await Promise.all(parts)).flat();
  }
  if (!NAME.test(text)) return [parseTarget(text, flag)];
  const found = await lookup(text, { all: true }).catch((cause: unknown) => {
    const reason = `neither a range nor a name that resolves (${describeError(cause)})`;
    throw new Fault('BAD_OPTION', reason, { flag, value: text }, cause);
  });
  const addresses = [...new Set(found.map(({ address }) => address))];
  note(`${text} is ${addresses.join(', ')}`);
  return addresses.map((address) => {
    const { extent } = parseTarget(address, flag);
    return { extent, location: { flag, value: `${text} (${address})` } };
  });
}

function printed(
  { targets, badLines }: Listed,
  file: string,
  note: (text: string) => void,
): readonly Target[] {
  if (badLines.length > 0) {
    const named = badLines.slice(0, BAD_LINES_NAMED).join(', ');
    const more = badLines.length > BAD_LINES_NAMED ? ', …' : '';
    note(`${file}: skipped ${plural(badLines.length, 'unreadable line')}: ${named}${more}`);
  }
  return targets;
}

/** The flag for which stdin was read. */
let stdinReader: string | undefined;

function readText(file: string, flag: string): Promise<string> {
  if (file === STDIN && stdinReader !== undefined) {
    const reason = `stdin can be read only once, and ${stdinReader} already reads it`;
    return Promise.reject(new Fault('BAD_OPTION', reason, { flag, value: file }));
  }
  if (file === STDIN) stdinReader = flag;
  const content = file === STDIN ? readStream(process.stdin) : readFile(file, 'utf8');
  return content.catch((cause: unknown) => {
    const reason = `cannot read the file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag, file }, cause);
  });
}

function nameOf(file: string): string {
  return file === STDIN ? 'stdin' : file;
}
