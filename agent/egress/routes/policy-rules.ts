/**
 * Policy routing (ip-rule(8)): which routing tables the kernel searches for our packets, and in which order.
 * VPNs that route all traffic are often set up with such rules.
 */
import type { Family } from '../../../shared/probe/probe.js';
import type { Span } from './partition.js';
import { addressToBigInt, ipJson } from './route-table.js';

/** A rule as `ip -json -N rule` prints it. */
export interface RuleRecord {
  readonly priority: number;
  readonly src?: string;
  readonly srclen?: number;
  readonly dst?: string;
  readonly dstlen?: number;
  readonly fwmark?: string;
  readonly fwmask?: string;
  readonly iif?: string;
  readonly oif?: string;
  readonly not?: unknown;
  readonly tos?: string;
  readonly ipproto?: string;
  readonly sport?: unknown;
  readonly dport?: unknown;
  readonly sport_start?: unknown;
  readonly dport_start?: unknown;
  readonly uid_start?: number;
  readonly uid_end?: number;
  readonly table?: string;
  readonly action?: string;
  readonly goto?: number;
  readonly suppress_prefixlen?: number;
  readonly l3mdev?: unknown;
}

/** Properties of our packets that rules can match before the lookup. */
export interface OurPackets {
  readonly family: Family;
  /** Empty if the operator has not set any. */
  readonly sources: readonly bigint[];
  /** Undefined if the operator has not set it. */
  readonly device: string | undefined;
}

/** One table lookup, or the end of the search. */
export interface Step {
  /** Destinations of the rule; undefined for all. */
  readonly to: Span<bigint> | undefined;
  /** Undefined for null routes. */
  readonly table: number | undefined;
  /** Prefixes up to this length are ignored. */
  readonly suppressed: number;
  /** The rule, as named in messages. */
  readonly text: string;
}

const BITS = { 4: 32, 6: 128 } as const;
const TCP = ['tcp', '6'];
const ENDS = ['unreachable', 'prohibit', 'blackhole'];
const STEPS_MAX = 10_000;

export async function readRules(family: Family): Promise<readonly RuleRecord[]> {
  const rules = await ipJson<RuleRecord>(['-N', `-${family}`, 'rule', 'show']);
  return [...rules].sort((a, b) => a.priority - b.priority);
}

/** The lookups that the kernel does for our packets, in order. */
export function stepsFor(rules: readonly RuleRecord[], ours: OurPackets): readonly Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < rules.length && steps.length < STEPS_MAX; i++) {
    const rule = rules[i] as RuleRecord;
    // "not" inverts all conditions of the rule. An inverted destination is not one span, so the rule is
    // taken to match all destinations.
    const isInverted = Object.hasOwn(rule, 'not');
    if (isInverted ? matches(rule, ours) && rule.dst === undefined : !matches(rule, ours)) continue;
    if (rule.goto !== undefined) {
      const next = rules.findIndex(({ priority }) => priority >= (rule.goto as number));
      if (next <= i) break;
      i = next - 1;
      continue;
    }
    const isEnd = ENDS.includes(rule.action ?? '');
    if (rule.table === undefined && !isEnd) continue; // nop
    steps.push({
      to: isInverted ? undefined : destinationOf(rule, ours.family),
      table: isEnd ? undefined : Number(rule.table),
      suppressed: rule.suppress_prefixlen ?? -1,
      text: `rule ${rule.priority}${isEnd ? ` (${rule.action})` : ''}`,
    });
  }
  return steps;
}

/** True if our packets match the rule, apart from their destination. */
function matches(rule: RuleRecord, { family, sources, device }: OurPackets): boolean {
  const mark = Number(rule.fwmark ?? 0);
  if (mark !== 0) return false; // our packets have no mark
  if (rule.iif !== undefined && rule.iif !== 'lo') return false;
  if (rule.oif !== undefined && rule.oif !== device) return false;
  if (rule.tos !== undefined && Number(rule.tos) !== 0) return false;
  if (rule.ipproto !== undefined && !TCP.includes(rule.ipproto)) return false;
  // Rules with ports match only some of our packets, and are ignored here: if that changes a route, the
  // comparison with the kernel's own lookup can reveal it.
  const names = ['sport', 'dport', 'sport_start', 'dport_start', 'l3mdev'] as const;
  if (names.some((name) => Object.hasOwn(rule, name))) return false;
  const uid = process.getuid?.() ?? 0;
  if (rule.uid_start !== undefined && (uid < rule.uid_start || uid > (rule.uid_end ?? uid)))
    return false;
  if (rule.src === undefined || rule.src === 'all') return true;
  const from = spanOf(rule.src, rule.srclen, family);
  return sources.some((source) => from.from <= source && source < from.to);
}

function destinationOf({ dst, dstlen }: RuleRecord, family: Family): Span<bigint> | undefined {
  return dst === undefined || dst === 'all' ? undefined : spanOf(dst, dstlen, family);
}

function spanOf(address: string, given: number | undefined, family: Family): Span<bigint> {
  const length = given ?? BITS[family];
  const size = 1n << BigInt(BITS[family] - length);
  const whole = addressToBigInt(address, family);
  const from = whole - (whole % size);
  return { from, to: from + size };
}
