/** The lines of a journal that are about cross-checks. */
import { z } from 'zod';

/** A stored check of one agent by another, on a shard that both have probed: see `cross-checks/`. */
export interface CheckEntry {
  readonly shard: number;
  /** The agent that checked, and the probes that it sent for it. */
  readonly checker: string;
  readonly probesSent: number;
  readonly comparisons: readonly Comparison[];
}

/** The answered positions of one owner of a shard, beside those of the agent that checked it. */
export interface Comparison {
  readonly owner: string;
  readonly checker: string;
  /** Answered to both, with the same class; to one of them only. */
  readonly both: number;
  readonly onlyOwner: number;
  readonly onlyChecker: number;
}

/** An agent that was caught by cross-checks. */
export interface DistrustedAgent {
  readonly agent: string;
  readonly reason: string;
}

/** Shards of an agent that were stored although no other one has confirmed them. */
export interface UnconfirmedShards {
  readonly agent: string;
  readonly shards: number;
}

/** A line that is about cross-checks. */
export type CrossCheckLine =
  | { readonly check: CheckEntry }
  | { readonly unconfirmed: UnconfirmedShards }
  | { readonly distrusted: DistrustedAgent };

const whole = z.number().int().min(0);
const comparison = z.strictObject({
  owner: z.string(),
  checker: z.string(),
  both: whole,
  onlyOwner: whole,
  onlyChecker: whole,
});
const check = z.strictObject({
  shard: whole,
  checker: z.string(),
  probesSent: whole,
  comparisons: z.array(comparison),
});

/** One for each kind of line. */
export const crossCheckShapes = [
  z.strictObject({ check }),
  z.strictObject({ distrusted: z.strictObject({ agent: z.string(), reason: z.string() }) }),
  z.strictObject({ unconfirmed: z.strictObject({ agent: z.string(), shards: whole }) }),
] as const;
