/** The keys of coordinators that the policy of this host names: no reply counts that another one has signed. */
import { Fault } from '../../shared/base/faults.js';
import type { AgentVerbs } from '../../shared/bus/agent-api.js';
import { heartbeatReplyCodec } from '../../shared/bus/agent-messages.js';
import { type Heartbeat, type HeartbeatReply, textOfReply } from '../../shared/bus/heartbeat.js';
import { fingerprint, isSigned } from '../../shared/bus/signature.js';

export class CoordinatorKeys {
  /** The reason why the last reply did not count; empty if it did. */
  problem = '';
  readonly #agent: string;
  readonly #keys: readonly string[] | undefined;

  /** @param keys fingerprints; undefined if replies need no signature */
  constructor(agent: string, keys: readonly string[] | undefined) {
    this.#agent = agent;
    this.#keys = keys;
  }

  /** True if heartbeats must ask for signatures. */
  get areNeeded(): boolean {
    return this.#keys !== undefined;
  }

  /** The reply to a heartbeat. @throws Fault UNAUTHORIZED if it does not count, or BAD_MESSAGE */
  open(answer: AgentVerbs['heartbeat']['answer'], heartbeat: Heartbeat): HeartbeatReply {
    const { heartbeat: plain, signed } = answer;
    if (this.#keys === undefined) {
      if (plain !== undefined) return plain;
      throw new Fault('BAD_MESSAGE', 'the reply of the coordinator is empty');
    }
    if (signed === undefined) throw this.#refused('the coordinator does not sign its replies');
    const key = fingerprint(signed);
    if (!this.#keys.includes(key))
      throw this.#refused(`the coordinator's key ${key} is not one of this host's policy`);
    if (!isSigned('reply', textOfReply(this.#agent, heartbeat, signed.octets), signed))
      throw this.#refused('the signature of a reply does not fit');
    this.problem = '';
    return heartbeatReplyCodec.decode(signed.octets);
  }

  #refused(reason: string): Fault {
    this.problem = `${reason}; nothing is sent`;
    return new Fault('UNAUTHORIZED', this.problem);
  }
}
