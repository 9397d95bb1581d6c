/**
 * Votes on aliased prefixes, from stored rows: which of the sixteen tests in a prefix have answered which probe. If
 * several prefix lengths were tested, an address is tagged with the votes of the longest (longest prefix match).
 */
import type { Words } from '../../../shared/net/endpoint.js';
import { clearBehind, formatIpv6, parseIpv6 } from '../../../shared/net/ipv6.js';
import { type AliasTests, TESTS_PER_PREFIX } from '../../../shared/survey/space/alias-tests.js';

const ALL = 2 ** TESTS_PER_PREFIX - 1;

/** A stored row of an IPv6 target. */
export interface AnsweredTarget {
  readonly address: string;
  readonly probe: string;
  /** 0 if the probe has none. */
  readonly port: number;
}

/** Votes on one prefix by one probe and port. */
export interface PrefixVotes {
  readonly prefix: string;
  readonly probe: string;
  readonly port: number;
  /** Tests that answered with success: 0 to 16. */
  readonly votes: number;
  /** True if all tests of the prefix answered some probe. */
  readonly isAliased: boolean;
}

export interface AliasTag {
  readonly isTest: boolean;
  readonly votes: number;
  readonly isAliased: boolean;
}

interface Ballot {
  /** Tests that answered any probe, one bit each. */
  any: number;
  readonly byService: Map<string, number>;
}

export class AliasVotes {
  readonly #tests: AliasTests;
  readonly #ballots = new Map<string, Ballot>();

  constructor(tests: AliasTests) {
    this.#tests = tests;
  }

  /** Counts a success, if its target is a test. */
  add({ address, probe, port }: AnsweredTarget): void {
    const test = this.#tests.testOf(parseIpv6(address));
    if (test === undefined) return;
    const key = keyOf(test.prefix, test.length);
    const ballot = this.#ballots.get(key) ?? { any: 0, byService: new Map<string, number>() };
    this.#ballots.set(key, ballot);
    const bit = 1 << test.nibble;
    const service = serviceOf(probe, port);
    ballot.any |= bit;
    ballot.byService.set(service, (ballot.byService.get(service) ?? 0) | bit);
  }

  /** The tag of a row, once all votes are counted. */
  tagOf({ address, probe, port }: AnsweredTarget): AliasTag {
    const words = parseIpv6(address);
    const [longest = 0] = this.#tests.lengths;
    const ballot = this.#ballots.get(keyOf(words, longest));
    return {
      isTest: this.#tests.testOf(words) !== undefined,
      votes: bitsIn(ballot?.byService.get(serviceOf(probe, port)) ?? 0),
      isAliased: ballot?.any === ALL,
    };
  }

  /** Prefixes with at least one vote. */
  *all(): Generator<PrefixVotes> {
    for (const [prefix, { any, byService }] of this.#ballots) {
      for (const [service, bits] of byService) {
        const [probe = '', port = '0'] = service.split(' ');
        const named = { prefix, probe, port: Number(port) };
        yield { ...named, votes: bitsIn(bits), isAliased: any === ALL };
      }
    }
  }
}

function keyOf(words: Words, length: number): string {
  return `${formatIpv6(clearBehind(words, length))}/${length}`;
}

function serviceOf(probe: string, port: number): string {
  return `${probe} ${port}`;
}

function bitsIn(mask: number): number {
  let count = 0;
  for (let bits = mask; bits !== 0; bits &= bits - 1) count++;
  return count;
}
