/**
 * Admission control: turns a request into a survey that agents may work on. The rules are checked here again,
 * whatever the client has checked: special-purpose targets must be allowed explicitly, public ones need a
 * contact and a purpose, and IPv6 targets a probe that supports IPv6.
 */
import { Fault } from '../../shared/base/faults.js';
import { type Random, shortId } from '../../shared/base/random.js';
import { PROTOCOL } from '../../shared/base/version.js';
import { KEY_OCTETS } from '../../shared/probe/cookies.js';
import { probeNamed } from '../../shared/probe/probe-registry.js';
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

/** @throws Fault SPECIAL_TARGETS, ANONYMOUS_SURVEY, UNSUPPORTED or BAD_OPTION */
export function admit(
  request: SurveyRequest,
  space: Space,
  random: Random,
  now: number,
): Admission {
  const probeOptions = probeNamed(request.probe).parseOptions(request.probeOptions);
  checkRequest(request, space);
  const plan = new Plan(space, request.seed, shardLengthFor(space.size, request.rate));
  const survey: Survey = {
    ...request,
    probeOptions,
    id: shortId(random, ID_LETTERS),
    state: 'running',
    key: random.bytes(KEY_OCTETS),
    shardLength: plan.shardLength,
    planHash: plan.hash,
    createdAt: now,
    protocol: PROTOCOL,
    storedBelow: 0,
    term: 0,
    firstEpoch: 1,
  };
  return { survey, plan };
}

/** The rules of admission; clients check them too, to refuse early. @throws as `admit` does */
export function checkRequest(request: SurveyRequest, space: Space): void {
  refuseSpecial(request, space);
  refuseAnonymous(request, space);
  refuseFamily(request, space);
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

function refuseFamily({ probe }: SurveyRequest, space: Space): void {
  if (!space.hasIpv6 || probeNamed(probe).families.includes(6)) return;
  const reason = 'this probe does not support IPv6 yet: IPv6 targets can only be planned or listed';
  throw new Fault('UNSUPPORTED', reason, { flag: '--probe', value: probe });
}
