/**
 * Source addresses as operators give them: a comma-separated list of addresses, IPv4 ranges and prefixes, or
 * a source window. A source window is an IPv6 prefix that is routed to this host as a whole.
 */
import { Fault } from '../base/faults.js';
import type { Words } from '../net/endpoint.js';
import {
  hasPrefix,
  isMapped,
  mappedWords,
  type Prefix6,
  parsePrefix6,
  parseWords,
} from '../net/ipv6.js';
import { parseRange } from '../net/prefix.js';

export interface Sources {
  /** Single addresses. If there is a window, its first address is one of them. */
  readonly addresses: readonly Words[];
  /** Each probe comes from an address of its own in this prefix. */
  readonly window?: Prefix6 | undefined;
}

/** The most source addresses: sixteen bits choose the one of a probe. */
const SOURCES_MAX = 65_535;
/** Shorter prefixes of IPv6 are windows; those of this length and more are lists of addresses. */
const LISTED_LENGTH_MIN = 113;
const WINDOW_LENGTH_MIN = 32;
/** Unspecified, loopback and mapped addresses; link-local ones; multicast (RFC 4291 §2.4). */
const NOT_UNICAST = ['::/8', 'fe80::/10', 'ff00::/8'].map(parsePrefix6);

/** @throws Fault BAD_OPTION naming the bad part */
export function parseSources(text: string): Sources {
  const parts = text.split(',').map((part) => part.trim());
  const windows = parts.flatMap((part) => windowOf(part) ?? []);
  const listed = parts.filter((part) => windowOf(part) === undefined);
  const sources = [...listed.flatMap((part) => [...addressesOf(part)]), ...windows.map(firstOf)];
  const distinct = new Map(sources.map((words) => [words.join(), words]));
  if (distinct.size > SOURCES_MAX) throw tooMany(text);
  const addresses = [...distinct.values()];
  const [window] = windows;
  if (window === undefined) return { addresses };
  if (addresses.filter((words) => !isMapped(words)).length > 1) {
    const reason = 'a source window stands alone: no other IPv6 source address can be beside it';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return { addresses, window };
}

/** The window that a part names; undefined if it names single addresses. */
function windowOf(part: string): Prefix6 | undefined {
  if (!part.includes(':') || !part.includes('/')) return undefined;
  const prefix = parsePrefix6(part);
  if (prefix.length >= LISTED_LENGTH_MIN) return undefined;
  if (NOT_UNICAST.some((other) => hasPrefix(prefix.words, other))) {
    const reason = 'a source window is a prefix of global unicast addresses';
    throw new Fault('BAD_OPTION', reason, { value: part });
  }
  if (prefix.length >= WINDOW_LENGTH_MIN) return prefix;
  const reason = `a source window is a prefix of at least ${WINDOW_LENGTH_MIN} bits`;
  throw new Fault('BAD_OPTION', reason, { value: part });
}

function firstOf({ words }: Prefix6): Words {
  return words;
}

function* addressesOf(part: string): Generator<Words> {
  if (!part.includes(':')) {
    const { from, to } = parseRange(part);
    if (to - from > SOURCES_MAX) throw tooMany(part);
    for (let address = from; address < to; address++) yield mappedWords(address);
  } else if (part.includes('/')) {
    const { words, length } = parsePrefix6(part);
    const [w0, w1, w2, w3] = words;
    for (let host = 0; host < 2 ** (128 - length); host++) yield [w0, w1, w2, w3 + host];
  } else yield parseWords(part);
}

function tooMany(value: string): Fault {
  return new Fault('BAD_OPTION', `more than ${SOURCES_MAX} source addresses`, { value });
}
