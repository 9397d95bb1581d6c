/**
 * Block rules: the exclusions of a survey as they were given, stored beside its space, so that a lookup can
 * name the rule that kept an address out of the survey. Identified by their hash, as spaces are.
 */
import { z } from 'zod';
import { Fault } from '../../base/faults.js';
import type { Target } from '../../net/endpoint.js';
import { type BlockEntry, Blocklist, parseBlock } from './blocklist.js';
import { SPECIAL_BLOCKS } from './special-purpose-registry.js';

interface Rule {
  readonly text: string;
  /** The flag, or file and line, that gave it. */
  readonly source: string;
}

export interface BlockRules {
  readonly exclusions: readonly Rule[];
  readonly allowSpecial: readonly string[];
}

const shape = z.object({
  exclusions: z.array(z.object({ text: z.string(), source: z.string() })),
  allowSpecial: z.array(z.string()),
});

export function rulesToBytes(
  exclusions: readonly BlockEntry[],
  allowSpecial: readonly string[],
): Uint8Array {
  const rules: BlockRules = { exclusions: exclusions.map(ruleOf), allowSpecial };
  return new Uint8Array(Buffer.from(JSON.stringify(rules)));
}

/** @throws Fault BAD_MESSAGE if the bytes are no rules */
export function rulesFromBytes(bytes: Uint8Array): BlockRules {
  try {
    return shape.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the bytes are not rules', {}, cause);
  }
}

/**
 * The reason why a target is not in a space, for people. Special-purpose blocks take precedence over
 * exclusions.
 */
export function reasonLeftOut(target: Target, { exclusions, allowSpecial }: BlockRules): string {
  const allowed = Blocklist.of(allowSpecial.map((text) => parseBlock(text, '--allow-special')));
  const block = SPECIAL_BLOCKS.find((each) => Blocklist.ofSpecial(each, allowed).holds(target));
  if (block !== undefined) return `${block.text} is ${block.name} (${block.rfc})`;
  const rule = ruleFor(target, { exclusions, allowSpecial });
  return rule === undefined ? 'not among the targets' : `excluded by ${rule}`;
}

/** The rule that contains a target, and its source; undefined if there is none. */
export function ruleFor(target: Target, { exclusions }: BlockRules): string | undefined {
  const rule = exclusions.find(({ text, source }) =>
    Blocklist.of([parseBlock(text, source)]).holds(target),
  );
  return rule && `${rule.text} (${rule.source})`;
}

function ruleOf({ location }: BlockEntry): Rule {
  const { file, line, flag, value = '' } = location;
  return { text: value, source: file === undefined ? (flag ?? '') : `${file}:${line}` };
}
