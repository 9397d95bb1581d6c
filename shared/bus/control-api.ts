/** The control API: the verbs that the command line sends to the coordinator, and the answers to them. */
import type { Exclusion } from '../survey/policy/exclusions.js';
import type { AgentStatus, LookupResult, SurveyStatus } from '../survey/status.js';
import type { SurveyRequest } from '../survey/survey.js';

/** The name of people who have no login of their own. */
export const ANYONE = 'anyone';

/** Somebody's public key, which an operator may accept. */
export interface Enrolment {
  /** Of the login. */
  readonly name: string;
  /** Public nkey. */
  readonly key: string;
  /** Name of the host, as it says. */
  readonly host: string;
  /** Wall clock. */
  readonly at: number;
}

/** Request and answer of each verb. */
export interface ControlVerbs {
  /**
   * A chunk of a target space or of block rules, before the launch of a survey that names it by its hash. The
   * answer says how many octets the coordinator has, from the first on.
   */
  upload: {
    ask: { hash: string; offset: number; total: number; chunk: Uint8Array };
    answer: { total: number };
  };
  launch: { ask: { request: SurveyRequest }; answer: { survey: string } };
  /** An empty survey id means all surveys. */
  status: { ask: { survey: string }; answer: { statuses: readonly SurveyStatus[] } };
  pause: { ask: { survey: string }; answer: { survey: string } };
  resume: { ask: { survey: string }; answer: { survey: string } };
  cancel: { ask: { survey: string; immediately: boolean }; answer: { survey: string } };
  /** Packets per second from now on. */
  rate: { ask: { survey: string; rate: number }; answer: { survey: string } };
  /** Adds an exclusion; answers once all agents enforce it, or after 1.5 s. */
  exclude: {
    ask: { prefix: string; reason: string; by: string };
    answer: { version: number; waiting: readonly string[] };
  };
  /** Lifts an exclusion, given by its version or its range; answers as `exclude` does. */
  lift: {
    ask: { lifted: string; reason: string; by: string };
    answer: { version: number; waiting: readonly string[] };
  };
  exclusions: { ask: object; answer: { exclusions: readonly Exclusion[] } };
  lookup: {
    ask: { survey: string; target: string };
    answer: { survey: string; results: readonly LookupResult[] };
  };
  agents: { ask: object; answer: { agents: readonly AgentStatus[] } };
  /** Agents and people who have asked to join, or for another key. */
  enrolments: { ask: object; answer: { enrolments: readonly Enrolment[] } };
  /** The files of a survey: paths within its folder. */
  files: {
    ask: { survey: string };
    answer: { survey: string; folder: string; files: readonly string[] };
  };
  file: {
    ask: { survey: string; file: string; offset: number };
    answer: { chunk: Uint8Array; total: number };
  };
}

export type ControlVerb = keyof ControlVerbs;

export type ControlHandlers = {
  /** @param person the name of the login that asks */
  readonly [Verb in ControlVerb]: (
    ask: ControlVerbs[Verb]['ask'],
    person: string,
  ) => Promise<ControlVerbs[Verb]['answer']>;
};

export interface ControlApi {
  /** @throws Fault NO_COORDINATOR if no coordinator answers, or the fault with which it answers */
  ask<Verb extends ControlVerb>(
    verb: Verb,
    ask: ControlVerbs[Verb]['ask'],
  ): Promise<ControlVerbs[Verb]['answer']>;
}

/** The coordinator's side. */
export interface ControlServer {
  serve(handlers: ControlHandlers, signal: AbortSignal): void;
}
