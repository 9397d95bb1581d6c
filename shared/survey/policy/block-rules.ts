/**
 * What was asked for and what was left out, as it was said: kept beside a space, so that "why was this
 * address not probed" has an answer that names the rule. Named by its hash, as spaces are.
 */
import { z } from 'zod';
import { Fault } from '../../base/faults.js';
import type { Target } from '../../net/endpoint.js';
import { type BlockEntry, parseBlock } from './block.js';
import { Blocklist } from './blocklist.js';
import { SPECIAL_BLOCKS } from './special-purpose-registry.js';

interface Rule {
  readonly text: string;
  /** The flag, or file and line, that said it. */
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

/** @throws Fault BAD_MESSAGE where the bytes are no rules */
export function rulesFromBytes(bytes: Uint8Array): BlockRules {
  try {
    return shape.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the bytes are not rules', {}, cause);
  }
}

/** Why a target is not in a space, in words. Special-purpose blocks go before exclusions. */
export function reasonLeftOut(target: Target, { exclusions, allowSpecial }: BlockRules): string {
  const allowed = Blocklist.of(allowSpecial.map((text) => parseBlock(text, '--allow-special')));
  const block = SPECIAL_BLOCKS.find((each) => Blocklist.ofSpecial(each, allowed).holds(target));
  if (block !== undefined) return `${block.text} is ${block.name} (${block.rfc})`;
  const rule = ruleFor(target, { exclusions, allowSpecial });
  return rule === undefined ? 'not among the targets' : `excluded by ${rule}`;
}

/** The rule that holds a target, and where it stands; undefined where none does. */
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
