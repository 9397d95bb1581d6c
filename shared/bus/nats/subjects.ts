/** Every subject, stream, consumer and bucket, in one place. */
import type { AgentVerb } from '../agent-api.js';
import type { ControlVerb } from '../control-api.js';

export const STREAM = {
  RESULTS: 'RESULTS',
  /** The replication log. */
  FILES: 'FILES',
  /** The stream of the lease bucket, and the prefix of its subjects. */
  LEASES: 'KV_leases',
  LEASE_SUBJECTS: '$KV.leases.',
} as const;

/** Durable consumers. */
export const CONSUMER = { COLLECTOR: 'collector' } as const;

export const BUCKET = {
  SURVEYS: 'surveys',
  LEASES: 'leases',
  SPACES: 'spaces',
  EXCLUSIONS: 'exclusions',
  COORDINATOR: 'coordinator',
} as const;

export const SUBJECT = {
  RESULTS_ALL: 'results.>',
  ANNOUNCEMENTS_ALL: 'announce.>',
  /** Answered by every coordinator, also by those that stand by. */
  presence: (person: string) => `control.${person}.presence`,
  PRESENCES_ALL: 'control.*.presence',
  results: (survey: string, agent: string, shard: number) => `results.${survey}.${agent}.${shard}`,
  agent: (agent: string, verb: AgentVerb) => `agent.${agent}.${verb}`,
  agents: (verb: AgentVerb) => `agent.*.${verb}`,
  announce: (survey: string) => `announce.${survey || 'all'}`,
  control: (person: string, verb: ControlVerb) => `control.${person}.${verb}`,
  controls: (verb: ControlVerb) => `control.*.${verb}`,
  /** A request to join under a name, by an invitation. */
  enrol: (name: string) => `enrol.${name}`,
  ENROLS_ALL: 'enrol.*',
  FILES_ALL: 'files.*.*',
  /** The changes of a file of the data folder; those of a survey have the survey's id as second token. */
  file: (path: string) => {
    const slash = path.indexOf('/');
    const folder = slash < 0 ? '_' : path.slice(0, slash);
    return `files.${folder}.${Buffer.from(path.slice(slash + 1) || '_').toString('base64url')}`;
  },
} as const;

/** The prefix of the subjects on which the answers to a login's requests arrive; no other login may read them. */
export function inboxOf(name: string): string {
  return `_INBOX_${name}`;
}

export const KEY = {
  lease: (survey: string, shard: number) => `${survey}.${shard}`,
  leasesOf: (survey: string) => `${survey}.>`,
  exclusion: (version: number) => `v.${version}`,
  /** The number of octets of a space, and its chunks. */
  octets: (hash: string) => `${hash}.octets`,
  chunk: (hash: string, chunk: number) => `${hash}.${chunk}`,
  LEADER: 'leader',
} as const;
