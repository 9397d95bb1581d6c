/** The agent API: one handler for each verb that an agent can send. */
import { LIMITS } from '../shared/base/limits.js';
import type { AgentHandlers } from '../shared/bus/agent-api.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import type { LeaseService } from './lease-service.js';
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
}

export function agentHandlers({ leases, exclusions, uploads }: Serving): AgentHandlers {
  let turn: Promise<unknown> = Promise.resolve();
  return {
    heartbeat: async (agent, { heartbeat }) => ({
      heartbeat: await leases.onHeartbeat(agent, heartbeat),
    }),
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
