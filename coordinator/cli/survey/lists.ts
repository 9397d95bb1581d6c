/**
 * Reads lists from files and stdin, and resolves host names; each input is read, and each name is resolved,
 * only once. Bad lines are reported.
 */
import { lookup } from 'node:dns/promises';
import { describeError, Fault } from '../../../shared/base/faults.js';
import type { RecordColumn } from '../../../shared/net/record-column.js';
import { type Hitlist, HitlistReader } from '../../../shared/survey/lists/hitlist.js';
import { readListFile } from '../../../shared/survey/lists/list-file.js';
import type { ListReader } from '../../../shared/survey/lists/list-reader.js';
import { PairListReader } from '../../../shared/survey/lists/pair-list.js';
import { type RuleList, RuleListReader } from '../../../shared/survey/lists/rule-list.js';
import {
  parseTarget,
  type TargetList,
  TargetListReader,
  targetListOf,
} from '../../../shared/survey/lists/target-list.js';
import type { TolerantReader } from '../../../shared/survey/lists/tolerant-reader.js';
import { plural } from '../output/print.js';
import { readingProgress } from '../output/reading-progress.js';

/** Labels of letters, digits and inner hyphens, with a letter somewhere (RFC 1123 §2.1). */
const NAME = /^(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?$/i;
const STDIN = '-';

type Note = (text: string) => void;

/** Reads a list of targets, or stdin for `-`. @throws Fault UNREADABLE_FILE or BAD_LIST */
export async function readTargetList(file: string, flag: string): Promise<TargetList> {
  const reader = new TargetListReader(nameOf(file));
  await read(reader, file, flag);
  return reader.list;
}

/** Reads a list of exclusions, or stdin for `-`. @throws Fault UNREADABLE_FILE or BAD_LIST */
export async function readBlockList(file: string, flag: string): Promise<RuleList> {
  const reader = new RuleListReader(nameOf(file));
  await read(reader, file, flag);
  return reader.list;
}

/** Reads addresses, one per line; bad lines are reported through `note`. @throws Fault UNREADABLE_FILE */
export async function readHitlist(file: string, flag: string, note: Note): Promise<Hitlist> {
  const reader = new HitlistReader(nameOf(file));
  await read(reader, file, flag);
  noteBadLines(reader, note);
  return reader.list;
}

/** Reads (address, port) pairs, one per line; bad lines are reported. @throws Fault UNREADABLE_FILE */
export async function readPairs(file: string, flag: string, note: Note): Promise<RecordColumn> {
  const reader = new PairListReader(nameOf(file));
  await read(reader, file, flag);
  noteBadLines(reader, note);
  return reader.list;
}

/**
 * Reads one argument: a target, or several separated by commas. A host name stands for all of its addresses;
 * it is resolved once, here, and the result is reported. @throws Fault BAD_OPTION
 */
export async function readTarget(text: string, flag: string, note: Note): Promise<TargetList[]> {
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
  return addresses.map((address) => targetListOf(address, { flag, value: `${text} (${address})` }));
}

function noteBadLines({ badCount, badLines, file }: TolerantReader, note: Note): void {
  if (badCount === 0) return;
  const more = badCount > badLines.length ? ', …' : '';
  note(`${file}: skipped ${plural(badCount, 'unreadable line')}: ${badLines.join(', ')}${more}`);
}

/** The flag for which stdin was read. */
let stdinReader: string | undefined;

async function read(reader: ListReader, file: string, flag: string): Promise<void> {
  if (file === STDIN && stdinReader !== undefined) {
    const reason = `stdin can be read only once, and ${stdinReader} already reads it`;
    throw new Fault('BAD_OPTION', reason, { flag, value: file });
  }
  if (file === STDIN) stdinReader = flag;
  const progress = readingProgress(reader, file === STDIN ? undefined : file);
  try {
    await readListFile(reader, file === STDIN ? process.stdin : file, flag, progress.onRead);
  } finally {
    progress.end();
  }
}

function nameOf(file: string): string {
  return file === STDIN ? 'stdin' : file;
}
