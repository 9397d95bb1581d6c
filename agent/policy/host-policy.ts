/**
 * The policy of an agent's own host: what may leave it, whatever a coordinator asks and an operator signs. A survey
 * that asks for more is refused as a whole, because its other targets would be left to nobody; and the send filter
 * blocks what the policy forbids, so that even a wrong plan cannot leave the host.
 */

import type { AllowedSigner } from '../../shared/authorization/allowed-signers.js';
import {
  type Authorization,
  checkAuthorization,
  mayTakePart,
} from '../../shared/authorization/authorization.js';
import type { Millis } from '../../shared/base/brand.js';
import { Fault } from '../../shared/base/faults.js';
import { type PortRange, portIn, probeIn } from '../../shared/net/ports.js';
import type { Plan } from '../../shared/survey/plan.js';
import { Blocklist } from '../../shared/survey/policy/blocklist.js';
import { targetIn } from '../../shared/survey/policy/special-purpose-policy.js';
import { formatDuration } from '../../shared/survey/quantities.js';
import type { Survey } from '../../shared/survey/survey.js';

export interface HostPolicy {
  /** The keys that may authorize surveys; undefined if they need no authorization. */
  readonly signers: readonly AllowedSigner[] | undefined;
  /** Fingerprints of coordinators' keys; undefined if their replies need no signature. */
  readonly coordinators: readonly string[] | undefined;
  /** Addresses that are never probed. */
  readonly forbidden: Blocklist;
  /** Half-open ranges of target ports that may be probed. */
  readonly ports: readonly PortRange[];
  /** Names of probes; undefined if all may be used. */
  readonly probes: readonly string[] | undefined;
  /** Packets per second of the whole agent; 0 for no limit. */
  readonly maxRate: number;
  /** Surveys at once. */
  readonly maxSurveys: number;
  readonly needContact: boolean;
  /** The longest validity of an authorization. */
  readonly maxValidity: Millis;
}

/** The policy of a host that has none. */
export const NO_POLICY: HostPolicy = {
  signers: undefined,
  coordinators: undefined,
  forbidden: Blocklist.of([]),
  ports: [{ from: 0, to: 65_536 }],
  probes: undefined,
  maxRate: 0,
  maxSurveys: Number.POSITIVE_INFINITY,
  needContact: false,
  maxValidity: Number.POSITIVE_INFINITY as Millis,
};

export interface PolicyContext {
  readonly agent: string;
  readonly plan: Plan;
  /** Surveys that the agent serves already. */
  readonly surveys: number;
  /** Wall clock. */
  readonly now: number;
}

/**
 * Checks a survey before anything is opened for it.
 * @returns its authorization; undefined if it needs none
 * @throws Fault LOCAL_POLICY or UNAUTHORIZED
 */
export function checkSurvey(
  policy: HostPolicy,
  survey: Survey,
  context: PolicyContext,
): Authorization | undefined {
  refuseProbes(policy, survey);
  refusePorts(policy, survey, context.plan);
  const value = targetIn(context.plan.space, policy.forbidden);
  if (value !== undefined) throw refused('this host does not probe these addresses', value);
  if (policy.needContact && survey.contact === '')
    throw refused('this host serves no survey without a contact');
  if (context.surveys >= policy.maxSurveys)
    throw refused(`this host serves at most ${policy.maxSurveys} surveys at once`);
  return policy.signers && authorizationFor(policy, policy.signers, survey, context);
}

function authorizationFor(
  { maxValidity }: HostPolicy,
  signers: readonly AllowedSigner[],
  survey: Survey,
  { agent, plan, now }: PolicyContext,
): Authorization {
  const { authorization } = checkAuthorization(survey, { plan, signers, now });
  if (!mayTakePart(authorization, agent))
    throw new Fault('UNAUTHORIZED', 'the authorization does not name this agent', { value: agent });
  const { notBefore, notAfter } = authorization;
  if (Date.parse(notAfter) - Date.parse(notBefore) <= maxValidity) return authorization;
  throw refused(`this host takes authorizations of at most ${formatDuration(maxValidity)}`);
}

function refuseProbes({ probes }: HostPolicy, survey: Survey): void {
  const other = survey.probes.find(({ name }) => probes !== undefined && !probes.includes(name));
  if (other !== undefined) throw refused('this host does not send this probe', other.name);
}

function refusePorts({ ports }: HostPolicy, survey: Survey, { space }: Plan): void {
  const isAllowed = (port: number) => ports.some(({ from, to }) => from <= port && port < to);
  for (const number of [...space.parts.ports, ...space.parts.pairs.ports]) {
    const port = portIn(number);
    if (isAllowed(port)) continue;
    const probe = survey.probes[probeIn(number)]?.name ?? '';
    throw refused('this host does not probe this port', `${probe}:${port}`);
  }
}

function refused(reason: string, value?: string): Fault {
  return new Fault('LOCAL_POLICY', `${reason} (its own policy)`, { value });
}
