/** Lists from text, read as those of files are. */
import type { RecordColumn } from '../../shared/net/record-column.js';
import { type Hitlist, HitlistReader } from '../../shared/survey/lists/hitlist.js';
import type { ListReader } from '../../shared/survey/lists/list-reader.js';
import { PairListReader } from '../../shared/survey/lists/pair-list.js';
import { type TargetList, TargetListReader } from '../../shared/survey/lists/target-list.js';

/** No lists, to be filled in. */
export const NO_LISTS = { targets: [], hitlists: [], pairs: [], exclusions: [], allowSpecial: [] };

/** Reads all of a list. @returns its reader */
export function readAll<Reader extends ListReader>(reader: Reader, text: string): Reader {
  reader.add(Buffer.from(text));
  reader.finish();
  return reader;
}

export function hitlistOf(...lines: readonly string[]): Hitlist {
  return readAll(new HitlistReader('hitlist'), lines.join('\n')).list;
}

export function pairsOf(...lines: readonly string[]): RecordColumn {
  return readAll(new PairListReader('pairs'), lines.join('\n')).list;
}

export function targetListOf(text: string, file: string): TargetList {
  return readAll(new TargetListReader(file), text).list;
}
