/** The agent API: what agents ask of the coordinator, and the answers. Each request bears the name of its agent. */
import type { Exclusion } from '../survey/policy/exclusions.js';
import type { Heartbeat, HeartbeatReply, SignedReply } from './heartbeat.js';

/** Request and answer of each verb. */
export interface AgentVerbs {
  heartbeat: {
    ask: { readonly heartbeat: Heartbeat };
    /** One of both; signed, if the heartbeat asks for it. */
    answer: {
      readonly heartbeat?: HeartbeatReply | undefined;
      readonly signed?: SignedReply | undefined;
    };
  };
  /** A chunk of a target space, from an octet on; `total` is 0 if the coordinator has no such space. */
  space: {
    ask: { readonly hash: string; readonly offset: number };
    answer: { readonly chunk: Uint8Array; readonly total: number };
  };
  /** A chunk of the agent's own block rules. The answer says how many octets the coordinator has, from the first on. */
  rules: {
    ask: {
      readonly hash: string;
      readonly offset: number;
      readonly total: number;
      readonly chunk: Uint8Array;
    };
    answer: { readonly total: number };
  };
  /** The exclusions of later versions than `after`, or the first of them if they are many. */
  exclusions: {
    ask: { readonly after: number };
    answer: { readonly exclusions: readonly Exclusion[] };
  };
}

export type AgentVerb = keyof AgentVerbs;

export type AgentHandlers = {
  readonly [Verb in AgentVerb]: (
    agent: string,
    ask: AgentVerbs[Verb]['ask'],
  ) => Promise<AgentVerbs[Verb]['answer']>;
};

/** The agent's side. */
export interface CoordinatorClient {
  /** @throws Fault NO_COORDINATOR if no coordinator answers in time, or the fault with which it answers */
  ask<Verb extends AgentVerb>(
    verb: Verb,
    ask: AgentVerbs[Verb]['ask'],
  ): Promise<AgentVerbs[Verb]['answer']>;
}

/** The coordinator's side. */
export interface AgentServer {
  serve(handlers: AgentHandlers, signal: AbortSignal): void;
  /** Requests a heartbeat from agents now. Announcements may be lost. @param survey empty: all agents */
  announce(survey: string): void;
}
