/** Source addresses as operators give them: addresses, ranges of IPv4, and prefixes, separated by commas. */
import { Fault } from '../base/faults.js';
import type { Words } from '../net/endpoint.js';
import { mappedWords, parsePrefix6, parseWords } from '../net/ipv6.js';
import { parseRange } from '../net/prefix.js';

/** A probe's source address is chosen by sixteen bits. */
const SOURCES_MAX = 65_535;

/** @throws Fault BAD_OPTION naming the bad part */
export function parseSources(text: string): readonly Words[] {
  const parts = text.split(',').map((part) => part.trim());
  const sources = parts.flatMap((part) => [...addressesOf(part)]);
  const distinct = new Map(sources.map((words) => [words.join(), words]));
  if (distinct.size <= SOURCES_MAX) return [...distinct.values()];
  throw tooMany(text);
}

function* addressesOf(part: string): Generator<Words> {
  if (!part.includes(':')) {
    const { from, to } = parseRange(part);
    if (to - from > SOURCES_MAX) throw tooMany(part);
    for (let address = from; address < to; address++) yield mappedWords(address);
  } else if (part.includes('/')) {
    const { words, length } = parsePrefix6(part);
    if (length < 113) throw tooMany(part);
    const [w0, w1, w2, w3] = words;
    for (let host = 0; host < 2 ** (128 - length); host++) yield [w0, w1, w2, w3 + host];
  } else yield parseWords(part);
}

function tooMany(value: string): Fault {
  return new Fault('BAD_OPTION', `more than ${SOURCES_MAX} source addresses`, { value });
}
