/**
 * Blocklists: blocks as users list them, in ZMap's format, and the set of the ranges that they block, minus an
 * allowlist.
 */
import type { FaultDetails } from '../../base/faults.js';
import type { Target } from '../../net/endpoint.js';
import { formatIpv6, hasPrefix, type Prefix6, parsePrefix6 } from '../../net/ipv6.js';
import { formatRange, parseRange } from '../../net/prefix.js';
import { type Range, Ranges } from '../../net/ranges.js';
import { located, readStrictly } from '../list-lines.js';
import type { Window } from '../space/window.js';
import type { SpecialBlock } from './special-purpose-registry.js';

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

/** Blocked IPv4 and IPv6 ranges, minus an allowlist. */
export class Blocklist {
  readonly ipv4: Ranges;
  /** As listed; ranges of the allowlist are not removed. */
  readonly ipv6: readonly Prefix6[];
  readonly #except: Blocklist | undefined;

  private constructor(ipv4: Ranges, ipv6: readonly Prefix6[], except?: Blocklist) {
    this.ipv4 = except === undefined ? ipv4 : ipv4.subtract(except.ipv4);
    this.ipv6 = ipv6;
    this.#except = except;
  }

  static of(entries: readonly BlockEntry[]): Blocklist {
    const blocks = entries.map(({ block }) => block);
    const ranges = blocks.flatMap((block) => (block.family === 4 ? [block.range] : []));
    const prefixes = blocks.flatMap((block) => (block.family === 6 ? [block.prefix] : []));
    return new Blocklist(Ranges.of(ranges), prefixes);
  }

  /** A block of a special-purpose registry, minus the ranges that a survey allows explicitly. */
  static ofSpecial(block: SpecialBlock, allowed: Blocklist): Blocklist {
    return block.family === 4
      ? new Blocklist(Ranges.of([block.range]), [], allowed)
      : new Blocklist(Ranges.none, [block.prefix], allowed);
  }

  /** The slots of a window that this list blocks. */
  slotsIn(window: Window): Ranges {
    const ranges = this.ipv6.map((prefix) => window.slotsWithin(prefix));
    const slots = Ranges.of(ranges.filter(({ from, to }) => from < to));
    if (slots.count === 0 || this.#except === undefined) return slots;
    return slots.subtract(this.#except.slotsIn(window));
  }

  holds(target: Target): boolean {
    if (target.isIpv4) return this.ipv4.contains(target.w3);
    const { w0, w1, w2, w3 } = target;
    const isListed = this.ipv6.some((prefix) => hasPrefix([w0, w1, w2, w3], prefix));
    return isListed && !(this.#except?.holds(target) ?? false);
  }
}

/** A bare IPv6 address is a prefix of 128 bits. */
function blockOf(text: string): Block {
  if (!text.includes(':')) return { family: 4, range: parseRange(text) };
  const prefix = text.includes('/') ? text : `${text}/128`;
  return { family: 6, prefix: parsePrefix6(prefix) };
}
