/**
 * Opt-outs that came in after surveys were planned. They are versioned: version n is the first n entries,
 * and entries are only ever added, also those that lift an earlier one, so that "was this address excluded
 * when position p was sent" has one answer. Agents hold every target against them right before it is sent.
 */
import type { Target } from '../../net/target.js';
import { type BlockEntry, parseBlock } from '../target-list.js';
import { Blocklist } from './blocklist.js';

export interface Exclusion {
  /** Counts from 1, without gaps. */
  readonly version: number;
  readonly prefix: string;
  /** The version whose exclusion ends with this entry; 0 where this is an exclusion itself. */
  readonly lifts: number;
  readonly reason: string;
  /** Who entered it. */
  readonly by: string;
  /** Wall clock. */
  readonly at: number;
}

/** From position `from` on, targets were held against at least this version. */
export interface VersionSpan {
  readonly version: number;
  readonly from: number;
}

export class Exclusions {
  readonly #entries: Exclusion[] = [];
  /** Entries that came before one that they follow. */
  readonly #early = new Map<number, Exclusion>();

  /** Entries that all hold, by version, ascending. */
  get entries(): readonly Exclusion[] {
    return this.#entries;
  }
  get version(): number {
    return this.#entries.length;
  }

  /** Takes an entry, in any order and however often. @returns whether the version grew */
  add(entry: Exclusion): boolean {
    const before = this.version;
    if (entry.version > before) this.#early.set(entry.version, entry);
    for (;;) {
      const next = this.#early.get(this.version + 1);
      if (next === undefined) return this.version > before;
      this.#early.delete(next.version);
      this.#entries.push(next);
    }
  }

  /** What is blocked as of a version. */
  blocklist(version = this.version): Blocklist {
    return Blocklist.of(inForce(this.#entries.slice(0, version)).flatMap(blockOf));
  }

  /** The first entry up to a version that holds a target. */
  rule(target: Target, version: number): Exclusion | undefined {
    return inForce(this.#entries.slice(0, version)).find((entry) =>
      Blocklist.of(blockOf(entry)).holds(target),
    );
  }
}

/** The exclusions among entries that none of them lifts. */
export function inForce(entries: readonly Exclusion[]): readonly Exclusion[] {
  const lifted = new Set(entries.map(({ lifts }) => lifts));
  return entries.filter(({ version, lifts }) => lifts === 0 && !lifted.has(version));
}

/** The version that a position was held against at least; 0 where there was none. */
export function versionAt(versionSpans: readonly VersionSpan[], position: number): number {
  return versionSpans.findLast(({ from }) => from <= position)?.version ?? 0;
}

/** Anyone may write to the broker: an entry that is no prefix has its version, and blocks nothing. */
function blockOf({ prefix }: Exclusion): BlockEntry[] {
  try {
    return [parseBlock(prefix, 'exclude')];
  } catch {
    return [];
  }
}
