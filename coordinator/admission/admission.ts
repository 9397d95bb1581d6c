/**
 * Admission control: turns a request into a survey that agents may work on. The rules are checked here again,
 * whatever the client has checked: special-purpose targets must be allowed explicitly, public targets need a
 * contact and a purpose, and IPv6 targets need a probe that supports IPv6.
 */
import type { AllowedSigner } from '../../shared/authorization/allowed-signers.js';
import { checkAuthorization } from '../../shared/authorization/authorization.js';
import { Fault } from '../../shared/base/faults.js';
import { type Random, shortId } from '../../shared/base/random.js';
import { PROTOCOL } from '../../shared/base/version.js';
import { portIn, probeIn } from '../../shared/net/ports.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import { Plan, shardLengthFor } from '../../shared/survey/plan.js';
import {
  publicTargetIn,
  specialTargetIn,
} from '../../shared/survey/policy/special-purpose-policy.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Survey, SurveyRequest } from '../../shared/survey/survey.js';

const ID_LETTERS = 8;

export interface Admission {
  readonly survey: Survey;
  readonly plan: Plan;
}

export interface AdmissionContext {
  readonly random: Random;
  /** Wall clock. */
  readonly now: number;
  /** The keys that may authorize surveys; undefined if they need no authorization. */
  readonly signers?: readonly AllowedSigner[] | undefined;
}

/** @throws Fault SPECIAL_TARGETS, ANONYMOUS_SURVEY, UNSUPPORTED, BAD_OPTION or UNAUTHORIZED */
export function admit(
  request: SurveyRequest,
  space: Space,
  { random, now, signers }: AdmissionContext,
): Admission {
  checkRequest(request, space);
  const probes = new ProbeSet(request.probes).all.map(({ probe, options }) => {
    return { name: probe.name, options };
  });
  const { maxTargets } = request.limits;
  if (maxTargets > space.size) {
    const reason = `the survey has ${space.size} targets`;
    throw new Fault('BAD_OPTION', reason, { flag: '--max-targets', value: String(maxTargets) });
  }
  const shardLength = shardLengthFor(maxTargets, request.rate);
  const plan = new Plan(space, request.seed, shardLength, maxTargets, request.spaceHash);
  const survey: Survey = {
    ...request,
    probes,
    id: shortId(random, ID_LETTERS),
    state: 'running',
    shardLength: plan.shardLength,
    planHash: plan.hash,
    createdAt: now,
    protocol: PROTOCOL,
    term: 0,
    firstEpoch: 1,
    endReason: '',
  };
  if (signers !== undefined) checkAuthorization(survey, { plan, signers, now });
  return { survey, plan };
}

/** The rules of admission; clients check them too, to refuse early. @throws as `admit` does */
export function checkRequest(request: SurveyRequest, space: Space): void {
  refuseProbes(request, space);
  refuseHitrate(request);
  refuseSpecial(request, space);
  refuseAnonymous(request, space);
}

/**
 * Refuses a minimum hit rate if a probe has no success, or if a class is a success of one probe and not of
 * another. Leases count replies by class only, so hits of such a class cannot be counted by probe.
 */
function refuseHitrate({ limits, probes }: SurveyRequest): void {
  if (limits.minHitrate === 0) return;
  const set = new ProbeSet(probes);
  const { unclearSuccess, allHaveSuccess } = set;
  if (allHaveSuccess && unclearSuccess === undefined) return;
  const reason = allHaveSuccess
    ? `${unclearSuccess} is a success of one probe and none of another: survey them apart`
    : 'a probe that looks for silence has no success, so there is no hit rate';
  const value = String(limits.minHitrate);
  throw new Fault('BAD_OPTION', reason, { flag: '--min-hitrate', value });
}

function refuseSpecial({ allowSpecial }: SurveyRequest, space: Space): void {
  const value = specialTargetIn(space, allowSpecial);
  if (value === undefined) return;
  const reason = 'special-purpose addresses are not surveyed unless they are allowed explicitly';
  throw new Fault('SPECIAL_TARGETS', reason, { flag: '--allow-special', value });
}

function refuseAnonymous({ contact, purpose }: SurveyRequest, space: Space): void {
  const value = publicTargetIn(space);
  if (value === undefined) return;
  const missing = [
    contact.trim() === '' ? '--contact' : '',
    purpose.trim() === '' ? '--purpose' : '',
  ].filter((flag) => flag !== '');
  if (missing.length === 0) return;
  const reason = `a survey of public addresses needs ${missing.join(' and ')}, so that people know whom to ask`;
  throw new Fault('ANONYMOUS_SURVEY', reason, { value });
}

/**
 * Refuses options that depend on the port and are not resolved, because agents use the options exactly as
 * they are in the survey's record.
 */
function refuseUnresolved({ all }: ProbeSet): void {
  for (const { probe, options } of all) {
    if (probe.optionsForPort === undefined || probe.optionsForPort(0, options) === options)
      continue;
    const reason =
      'the options of this probe depend on the port: a request must contain the resolved options of each port';
    throw new Fault('BAD_OPTION', reason, { flag: '--probe', value: probe.name });
  }
}

/**
 * Refuses the request unless each target names a probe of the survey that supports its family, with a port if
 * the probe has ports.
 */
function refuseProbes({ probes }: SurveyRequest, space: Space): void {
  const set = new ProbeSet(probes);
  refuseUnresolved(set);
  const { ports, pairs } = space.parts;
  for (const port of [...ports, ...pairs.ports]) {
    const hasPorts = set.all[probeIn(port)]?.probe.hasPorts;
    if (hasPorts === portIn(port) > 0) continue;
    const reason = 'the target space has ports that do not fit the probes of the survey';
    throw new Fault('BAD_OPTION', reason, { flag: '--ports', value: String(portIn(port)) });
  }
  const lacking = space.hasIpv6 ? set.lacking(6) : undefined;
  if (lacking === undefined) return;
  const reason = 'this probe does not support IPv6: leave out IPv6 targets, or the probe';
  throw new Fault('UNSUPPORTED', reason, { flag: '--probe', value: lacking.name });
}
