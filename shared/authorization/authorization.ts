/**
 * Authorizations: what an operator allows a survey to send, as a text that people can read, signed with an SSH key.
 * Coordinator, agents and `verify` check it independently. Whatever makes less noise needs none: lower rates, pauses,
 * cancelling, opt-outs.
 */
import { z } from 'zod';
import { isoTime } from '../base/clock.js';
import { Fault } from '../base/faults.js';
import type { Plan } from '../survey/plan.js';
import type { Survey, SurveyRequest } from '../survey/survey.js';
import { type AllowedSigner, principalsOf } from './allowed-signers.js';
import { signerOf } from './ssh-signature.js';

/** The namespace of the signatures. */
export const NAMESPACE = 'transect-authorization';
const VERSION = 1;
/** Clocks may differ by this much. */
const SKEW_MILLIS = 300_000;

export interface Authorization {
  readonly authorization: typeof VERSION;
  readonly name: string;
  /** Determines every target, and their order. */
  readonly planHash: string;
  readonly seed: string;
  readonly rulesHash: string;
  readonly probes: Survey['probes'];
  readonly probesPerTarget: number;
  /** Packets per second: of all agents together, and of each. */
  readonly maxRate: number;
  readonly maxRatePerAgent: number;
  /** Probes, including repeated ones. */
  readonly maxProbes: number;
  /** Milliseconds. */
  readonly minCooldown: number;
  readonly allowSpecial: readonly string[];
  readonly contact: string;
  readonly purpose: string;
  /** The exclusions that the plan takes into account. */
  readonly exclusionsVersion: number;
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Names of the agents that may take part; `*` for all. */
  readonly agents: readonly string[];
}

const text = z.string();
const count = z.number().min(0);
const shape = z.strictObject({
  authorization: z.literal(VERSION),
  name: text,
  planHash: text,
  seed: text,
  rulesHash: text,
  probes: z.array(z.strictObject({ name: text, options: z.record(text, text) })),
  probesPerTarget: count,
  maxRate: count,
  maxRatePerAgent: count,
  maxProbes: count,
  minCooldown: count,
  allowSpecial: z.array(text),
  contact: text,
  purpose: text,
  exclusionsVersion: count,
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  agents: z.array(text),
});

/** The text that is signed: JSON, one key per line. */
export function authorizationText(authorization: Authorization): string {
  const lines = Object.entries(authorization).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** @throws Fault UNAUTHORIZED if the text is no authorization */
export function parseAuthorization(content: string): Authorization {
  try {
    return shape.parse(JSON.parse(content)) as Authorization;
  } catch (cause) {
    throw new Fault('UNAUTHORIZED', 'the text is not an authorization', {}, cause);
  }
}

/** An authorization that was found valid, and the principals of its signer. */
export interface Authorized {
  readonly authorization: Authorization;
  readonly by: string;
}

export interface AuthorizationContext {
  readonly plan: Plan;
  readonly signers: readonly AllowedSigner[];
  /** Wall clock. */
  readonly now: number;
}

/**
 * Checks that an operator has authorized a survey.
 * @throws Fault UNAUTHORIZED, which names what is not authorized
 */
export function checkAuthorization(
  survey: SurveyRequest,
  { plan, signers, now }: AuthorizationContext,
): Authorized {
  const { authorization: content, signature } = survey;
  if (content === '' || signature === '') {
    const reason = 'the survey is not authorized: it needs an authorization, signed by an operator';
    throw new Fault('UNAUTHORIZED', reason);
  }
  const by = principalsOf(signers, signerOf(signature, content, NAMESPACE), NAMESPACE, now);
  const authorization = parseAuthorization(content);
  const { notBefore, notAfter } = authorization;
  if (now < Date.parse(notBefore) - SKEW_MILLIS || now > Date.parse(notAfter) + SKEW_MILLIS) {
    const reason = `it is ${isoTime(now)}, and the authorization is valid from ${notBefore} to ${notAfter}`;
    throw new Fault('UNAUTHORIZED', reason);
  }
  refuseOther(survey, plan, authorization);
  return { authorization, by };
}

/** @throws Fault UNAUTHORIZED if the survey is not the one that is authorized */
function refuseOther(survey: SurveyRequest, plan: Plan, authorization: Authorization): void {
  const same = (one: unknown, other: unknown) => canonical(one) === canonical(other);
  const isSame: Record<string, boolean> = {
    targets: plan.hash === authorization.planHash,
    'exclusion rules': survey.rulesHash === authorization.rulesHash,
    probes: same(survey.probes, authorization.probes),
    'number of probes per target': survey.probesPerTarget <= authorization.probesPerTarget,
    rate: survey.rate <= authorization.maxRate,
    cooldown: survey.cooldown >= authorization.minCooldown,
    'special-purpose addresses': same(survey.allowSpecial, authorization.allowSpecial),
    contact: survey.contact === authorization.contact,
    purpose: survey.purpose === authorization.purpose,
  };
  const other = Object.entries(isSame).find(([, isRight]) => !isRight);
  if (other === undefined) return;
  throw new Fault(
    'UNAUTHORIZED',
    `the ${other[0]} of the survey are not those that are authorized`,
  );
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    const isObject = typeof part === 'object' && part !== null && !Array.isArray(part);
    return isObject ? Object.fromEntries(Object.entries(part).sort()) : part;
  });
}

/** True if an agent may take part. */
export function mayTakePart({ agents }: Authorization, agent: string): boolean {
  return agents.includes('*') || agents.includes(agent);
}

/** The authorization of a survey that was admitted; undefined if it has none. */
export function authorizationOf({
  authorization: content,
}: Pick<Survey, 'authorization'>): Authorization | undefined {
  if (content === '') return undefined;
  try {
    return parseAuthorization(content);
  } catch {
    return undefined; // without signers, nobody has checked it
  }
}

/** @throws Fault UNAUTHORIZED if the rate, in packets per second, is higher than what is authorized */
export function refuseRateAbove(authorization: Authorization | undefined, rate: number): void {
  if (authorization === undefined || rate <= authorization.maxRate) return;
  const reason = `the survey is authorized for ${authorization.maxRate} packets per second at most`;
  throw new Fault('UNAUTHORIZED', reason, { value: String(rate) });
}
