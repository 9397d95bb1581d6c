/** Enters each request of a person that changes something into the audit log, with its outcome. */
import { Fault } from '../../shared/base/faults.js';
import type { ControlHandlers, ControlVerb } from '../../shared/bus/control-api.js';
import type { SurveyRequest } from '../../shared/survey/survey.js';
import type { AuditLog } from './audit-log.js';

/** The handlers of all verbs; those that change something answer once the request is in the log. */
export function audited(handlers: ControlHandlers, log: AuditLog): ControlHandlers {
  const entered =
    <Ask extends object, Answer extends object>(
      verb: ControlVerb,
      handle: (ask: Ask, person: string) => Promise<Answer>,
    ) =>
    async (ask: Ask, person: string): Promise<Answer> => {
      const enter = (outcome: string, answer: object = {}) =>
        log.add({ person, verb, outcome, request: { ...briefOf(ask), ...surveyOf(answer) } });
      try {
        const answer = await handle(ask, person);
        await enter('done', answer);
        return answer;
      } catch (error) {
        await enter(error instanceof Fault ? error.code : 'FAILED');
        throw error;
      }
    };
  return {
    ...handlers,
    launch: entered('launch', handlers.launch),
    pause: entered('pause', handlers.pause),
    resume: entered('resume', handlers.resume),
    cancel: entered('cancel', handlers.cancel),
    rate: entered('rate', handlers.rate),
    exclude: entered('exclude', handlers.exclude),
    lift: entered('lift', handlers.lift),
  };
}

/** A request without what is long: targets and rules are named by their hashes, an authorization is not repeated. */
function briefOf(ask: object): object {
  const { request, ...others } = ask as { request?: SurveyRequest };
  if (request === undefined) return withoutUnused(others);
  const { name, probes, rate, contact, purpose, seed, spaceHash, rulesHash } = request;
  const isAuthorized = request.authorization !== '';
  return { name, probes, rate, contact, purpose, seed, spaceHash, rulesHash, isAuthorized };
}

/** Without the fields that the verb does not use: they are empty, or zero. */
function withoutUnused(ask: object): object {
  const isUsed = (value: unknown) => typeof value !== 'object' && Boolean(value);
  return Object.fromEntries(Object.entries(ask).filter(([, value]) => isUsed(value)));
}

/** The id of the survey that an answer names. */
function surveyOf(answer: object): { readonly survey?: string } {
  const { survey } = answer as { survey?: string };
  return survey === undefined ? {} : { survey };
}
