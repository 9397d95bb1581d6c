/** Every subject, stream, consumer and bucket, in one place. */

export const STREAM = {
  WORK: 'WORK',
  RESULTS: 'RESULTS',
  /** The stream of the lease bucket, and the prefix of its subjects. */
  LEASES: 'KV_leases',
  LEASE_SUBJECTS: '$KV.leases.',
} as const;

/** Durable consumers; on a work queue no two of them may match the same message. */
export const CONSUMER = {
  COLLECTOR: 'collector',
  agentsOf: (survey: string) => `agents-${survey}`,
} as const;

export const BUCKET = {
  SURVEYS: 'surveys',
  LEASES: 'leases',
  SPACES: 'spaces',
  EXCLUSIONS: 'exclusions',
  COORDINATOR: 'coordinator',
} as const;

export const SUBJECT = {
  WORK_ALL: 'work.>',
  RESULTS_ALL: 'results.>',
  HEARTBEATS_ALL: 'heartbeats.*',
  work: (survey: string, shard: number) => `work.${survey}.${shard}`,
  workOf: (survey: string) => `work.${survey}.>`,
  results: (survey: string, agent: string, shard: number) => `results.${survey}.${agent}.${shard}`,
  heartbeat: (agent: string) => `heartbeats.${agent}`,
  grant: (survey: string, agent: string) => `grants.${survey}.${agent}`,
  grantsTo: (agent: string) => `grants.*.${agent}`,
  control: (verb: string) => `control.${verb}`,
} as const;

export const KEY = {
  lease: (survey: string, shard: number) => `${survey}.${shard}`,
  leasesOf: (survey: string) => `${survey}.>`,
  exclusion: (version: number) => `v.${version}`,
  /** The number of octets of a space, and its chunks. */
  octets: (hash: string) => `${hash}.octets`,
  chunk: (hash: string, chunk: number) => `${hash}.${chunk}`,
  LEADER: 'leader',
} as const;
