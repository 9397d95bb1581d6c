/**
 * Exclusions: opt-outs that arrived after surveys were planned. They are versioned and append-only: version n
 * is the first n entries, including those that lift an earlier one, so "was this address excluded when
 * position p was sent" has one answer. Agents check every target against them just before sending it.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.js';
import type { Target } from '../../net/endpoint.js';
import { parseBlock, type RuleList } from '../lists/rule-list.js';
import { type AddressLists, addressLists } from './address-lists.js';
import { Blocklist } from './blocklist.js';

export interface Exclusion {
  /** Versions are 1, 2, 3, … without gaps. */
  readonly version: number;
  readonly prefix: string;
  /** The version of the exclusion that this entry lifts; 0 if it is an exclusion itself. */
  readonly lifts: number;
  readonly reason: string;
  /** The person who entered it. */
  readonly by: string;
  /** Wall clock. */
  readonly at: number;
}

/** Targets at position `from` and above were checked against this version, or a later one. */
export interface VersionSpan {
  readonly version: number;
  readonly from: number;
}

export class Exclusions {
  readonly #entries: Exclusion[] = [];
  /** The blocks of the entries, parsed once. */
  readonly #blocks: (readonly RuleList[])[] = [];
  /** By version: the hash of all entries up to it. */
  readonly #heads: string[] = [''];
  /** Entries that arrived before their predecessor. */
  readonly #early = new Map<number, Exclusion>();

  /** The entries by version, ascending, without gaps. */
  get entries(): readonly Exclusion[] {
    return this.#entries;
  }
  get version(): number {
    return this.#entries.length;
  }

  /** The hash chain of the first `version` entries, hexadecimal; empty for version 0, or if there are fewer. */
  headAt(version: number): string {
    return this.#heads[version] ?? '';
  }

  /** Adds an entry; entries may arrive in any order and repeatedly. @returns whether the version grew */
  add(entry: Exclusion): boolean {
    assert(entry.version >= 1, `an exclusion has the invalid version number ${entry.version}`);
    const before = this.version;
    if (entry.version > before) this.#early.set(entry.version, entry);
    for (;;) {
      const next = this.#early.get(this.version + 1);
      if (next === undefined) return this.version > before;
      this.#early.delete(next.version);
      this.#entries.push(next);
      this.#blocks.push(blocksOf(next));
      this.#heads.push(headAfter(this.headAt(next.version - 1), next));
    }
  }

  /** The excluded addresses. */
  blocklist(): Blocklist {
    const blocks = inForce(this.#entries).flatMap(({ version }) => this.#blocks[version - 1] ?? []);
    return Blocklist.of(blocks);
  }

  /** The same, as plain data. */
  addresses(): AddressLists {
    const { ipv4, ipv6 } = this.blocklist();
    return addressLists(ipv4, ipv6);
  }

  /** The first entry that contains a target and is in force at a version. */
  rule(target: Target, version: number): Exclusion | undefined {
    return inForce(this.#entries.slice(0, version)).find((entry) =>
      Blocklist.of(this.#blocks[entry.version - 1] ?? []).holds(target),
    );
  }
}

/** The next hash of the chain: SHA-256 over the one before and the entry. */
function headAfter(head: string, entry: Exclusion): string {
  return createHash('sha256')
    .update(`${head} ${textOf(entry)}`)
    .digest('hex');
}

export function isSameExclusion(one: Exclusion, other: Exclusion): boolean {
  return textOf(one) === textOf(other);
}

function textOf({ version, prefix, lifts, reason, by, at }: Exclusion): string {
  return JSON.stringify([version, prefix, lifts, reason, by, at]);
}

/** The exclusions in force: entries that exclude, and are not lifted by another entry. */
export function inForce(entries: readonly Exclusion[]): readonly Exclusion[] {
  const lifted = new Set(entries.map(({ lifts }) => lifts));
  return entries.filter(({ version, lifts }) => lifts === 0 && !lifted.has(version));
}

/** The lowest version against which a position may have been checked; 0 if none is known. */
export function versionAt(spans: readonly VersionSpan[], position: number): number {
  return spans.findLast(({ from }) => from <= position)?.version ?? 0;
}

/**
 * The block of an entry. An entry with an unreadable prefix keeps its version but blocks nothing; there may
 * be such entries, because any client may write to the broker.
 */
function blocksOf({ prefix }: Exclusion): readonly RuleList[] {
  try {
    return [parseBlock(prefix, 'exclude')];
  } catch {
    return [];
  }
}
