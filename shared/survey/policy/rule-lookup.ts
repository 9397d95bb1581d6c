/** Looks up the block rule that kept an address out of a survey. */
import { z } from 'zod';
import { assert } from '../../base/assert.js';
import { Fault } from '../../base/faults.js';
import type { Target } from '../../net/endpoint.js';
import { compareWords } from '../../net/ipv6.js';
import { RANGE_WORDS, rangeWords } from '../../net/ranges6.js';
import { parseBlock, prefixText, rangeText } from '../lists/rule-list.js';
import { HEAD_AT, RULES_MAGIC, WORD_OCTETS } from './block-rules.js';
import { Blocklist } from './blocklist.js';
import { allowedSpecial } from './special-purpose-policy.js';
import { SPECIAL_BLOCKS } from './special-purpose-registry.js';

/** The rules of one source. */
interface Rules {
  /** The flag or file that gave them. */
  readonly source: string;
  readonly ranges: Uint32Array;
  /** By range: the line in the file; 0 if the source is a flag. */
  readonly rangeLines: Uint32Array;
  readonly prefixes: Uint32Array;
  readonly prefixLines: Uint32Array;
}

export interface BlockRules {
  readonly lists: readonly Rules[];
  readonly allowSpecial: readonly string[];
}

const count = z.number().int().nonnegative();
const shape = z.object({
  lists: z.array(z.object({ source: z.string(), ranges: count, prefixes: count })),
  allowSpecial: z.array(z.string()),
});

/** @throws Fault BAD_MESSAGE if the bytes are no rules */
export function rulesFromBytes(bytes: Uint8Array): BlockRules {
  try {
    return readRules(bytes);
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the bytes are not rules', {}, cause);
  }
}

function readRules(bytes: Uint8Array): BlockRules {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert(view.getUint32(0, true) === RULES_MAGIC, 'rules do not start with their magic number');
  const octets = view.getUint32(WORD_OCTETS, true);
  const json = Buffer.from(bytes.subarray(HEAD_AT, HEAD_AT + octets)).toString();
  const { lists, allowSpecial } = shape.parse(JSON.parse(json));
  const body = new Uint32Array(new Uint8Array(bytes.subarray(HEAD_AT + octets)).buffer);
  let at = 0;
  const take = (words: number) => {
    at += words;
    assert(at <= body.length, 'rules are shorter than their head says');
    return body.subarray(at - words, at);
  };
  const read = lists.map(({ source, ranges, prefixes }) => ({
    source,
    ranges: take(2 * ranges),
    rangeLines: take(ranges),
    prefixes: take(RANGE_WORDS * prefixes),
    prefixLines: take(prefixes),
  }));
  assert(at === body.length, 'rules are longer than their head says');
  return { lists: read, allowSpecial };
}

/**
 * The reason why a target is not in a space, for people. Special-purpose blocks take precedence over
 * exclusions.
 */
export function reasonLeftOut(target: Target, rules: BlockRules): string {
  const allowed = allowedSpecial(rules.allowSpecial.map((text) => parseBlock(text, '')));
  const block = SPECIAL_BLOCKS.find((each) => Blocklist.ofSpecial(each, allowed).holds(target));
  if (block !== undefined) return `${block.text} is ${block.name} (${block.rfc})`;
  const rule = ruleFor(target, rules);
  return rule === undefined ? 'not among the targets' : `excluded by ${rule}`;
}

/** The first rule that contains a target, and its source; undefined if there is none. */
export function ruleFor(target: Target, { lists }: BlockRules): string | undefined {
  for (const list of lists) {
    const i = target.isIpv4 ? rangeWith(list, target.w3) : prefixWith(list, target);
    if (i < 0) continue;
    const [text, line] = target.isIpv4
      ? [rangeText(list.ranges, i), list.rangeLines[i]]
      : [prefixText(list.prefixes, i), list.prefixLines[i]];
    return `${text} (${line === 0 ? list.source : `${list.source}:${line}`})`;
  }
  return undefined;
}

function rangeWith({ ranges }: Rules, address: number): number {
  for (let at = 0; at < ranges.length; at += 2) {
    if ((ranges[at] as number) <= address && address <= (ranges[at + 1] as number)) return at / 2;
  }
  return -1;
}

function prefixWith({ prefixes }: Rules, { words }: Target): number {
  for (let i = 0; i < prefixes.length / RANGE_WORDS; i++) {
    const { first, last } = rangeWords(prefixes, i);
    if (compareWords(first, words) <= 0 && compareWords(words, last) <= 0) return i;
  }
  return -1;
}
