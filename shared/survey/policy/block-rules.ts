/**
 * Block rules of a survey as they were given, stored beside its space, so that a lookup can name the rule that
 * kept an address out of the survey. Identified by their hash, as spaces are.
 *
 *     "TBR1", octets of the head (u32), the head (JSON, padded with spaces to a multiple of 4); then, little-endian,
 *     per list: the IPv4 ranges as (first, last) u32, their lines as u32, the IPv6 prefixes as (first, last) of
 *     4 × u32, their lines as u32
 */
import { joinRecords } from '../../net/record-column.js';
import type { RuleList } from '../lists/rule-list.js';

export const RULES_MAGIC = 0x31524254; // "TBR1"
export const WORD_OCTETS = 4;
export const HEAD_AT = 8;

export function rulesToBytes(
  lists: readonly RuleList[],
  allowSpecial: readonly string[],
): Uint8Array {
  const head = {
    lists: lists.map(({ location: { file, line, flag = '' }, ranges, prefixes }) => ({
      source: file === undefined ? flag : line === undefined ? file : `${file}:${line}`,
      ranges: ranges.size,
      prefixes: prefixes.size,
    })),
    allowSpecial,
  };
  const text = Buffer.from(JSON.stringify(head));
  const padding = Buffer.alloc(-text.length & (WORD_OCTETS - 1), ' ');
  const json = Buffer.concat([text, padding]);
  const body = joinRecords(
    lists.flatMap(({ ranges, rangeLines, prefixes, prefixLines }) =>
      [ranges, rangeLines, prefixes, prefixLines].map(({ words }) => words),
    ),
  );
  const bytes = new Uint8Array(HEAD_AT + json.length + body.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, RULES_MAGIC, true);
  view.setUint32(WORD_OCTETS, json.length, true);
  bytes.set(json, HEAD_AT);
  bytes.set(new Uint8Array(body.buffer), HEAD_AT + json.length);
  return bytes;
}
