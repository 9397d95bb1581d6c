/** Blocks as people give them: ranges that are excluded, or special-purpose ranges that are allowed. */
import type { FaultDetails } from '../../base/faults.js';
import { formatIpv6, type Prefix6, parsePrefix6 } from '../../net/ipv6.js';
import { formatRange, parseRange } from '../../net/prefix.js';
import type { Range } from '../../net/ranges.js';
import { located, readStrictly } from '../list-lines.js';

/** A range of IPv4, or an IPv6 prefix, of any size. */
export type Block =
  | { readonly family: 4; readonly range: Range }
  | { readonly family: 6; readonly prefix: Prefix6 };

export interface BlockEntry {
  readonly block: Block;
  /** The place where it was given: flag, file, line. */
  readonly location: FaultDetails;
}

/** Reads a block given with a flag or a key of a survey file. @throws Fault BAD_OPTION */
export function parseBlock(text: string, flag: string): BlockEntry {
  const location = { flag, value: text };
  return { block: located(location, () => blockOf(text.trim())), location };
}

/** Reads a list of blocks. @throws Fault BAD_LIST with file, line and value */
export function parseBlockList(text: string, file: string): BlockEntry[] {
  return readStrictly(text, file, (value, location) => ({ block: blockOf(value), location }));
}

/** The shortest text of a block. */
export function formatBlock(block: Block): string {
  if (block.family === 4) return formatRange(block.range);
  return `${formatIpv6(block.prefix.words)}/${block.prefix.length}`;
}

/** A bare IPv6 address is a prefix of 128 bits. */
function blockOf(text: string): Block {
  if (!text.includes(':')) return { family: 4, range: parseRange(text) };
  const prefix = text.includes('/') ? text : `${text}/128`;
  return { family: 6, prefix: parsePrefix6(prefix) };
}
