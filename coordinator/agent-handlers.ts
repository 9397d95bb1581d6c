/** The agent API: one handler for each verb that an agent can send. */
import { LIMITS } from '../shared/base/limits.js';
import type { AgentHandlers } from '../shared/bus/agent-api.js';
import { heartbeatReplyCodec } from '../shared/bus/agent-messages.js';
import { textOfReply } from '../shared/bus/heartbeat.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import type { LeaseService } from './lease-service.js';
import type { SigningKey } from './storage/signing-key.js';
import type { Uploads } from './uploads.js';

/** Exclusions in one answer: at most about 300 octets each. */
const EXCLUSIONS_MAX = 1000;
/** Octets of an agent's own block rules. */
const RULES_OCTETS_MAX = 256 * 1024 ** 2;

/** The part of the coordinator that the handlers need. */
export interface Serving {
  readonly leases: LeaseService;
  readonly exclusions: { readonly list: Exclusions };
  readonly uploads: Uploads;
  /** Signs replies for agents that ask for it. */
  readonly signingKey: SigningKey;
}

export function agentHandlers({ leases, exclusions, uploads, signingKey }: Serving): AgentHandlers {
  let turn: Promise<unknown> = Promise.resolve();
  return {
    heartbeat: async (agent, { heartbeat }) => {
      const reply = await leases.onHeartbeat(agent, heartbeat);
      if (!heartbeat.wantsSignature) return { heartbeat: reply };
      const octets = heartbeatReplyCodec.encode(reply);
      const signature = await signingKey.sign('reply', textOfReply(agent, heartbeat, octets));
      return { signed: { octets, ...signature } };
    },
    space: (_agent, { hash, offset }) => {
      // One chunk per turn of the event loop, so that heartbeats do not wait behind thousands of chunks.
      const chunk = turn.then(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        const space = leases.spaceOf(hash);
        const end = offset + LIMITS.chunkOctets;
        return { chunk: space.subarray(offset, end), total: space.length };
      });
      turn = chunk.catch(() => {});
      return chunk;
    },
    rules: async (agent, part) => ({ total: await uploads.take(agent, part, RULES_OCTETS_MAX) }),
    exclusions: async (_agent, { after }) => ({
      exclusions: exclusions.list.entries.slice(after, after + EXCLUSIONS_MAX),
    }),
  };
}
