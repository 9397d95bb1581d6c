/**
 * The one place where octets become domain values. What protobufjs decodes is a bag of numbers and
 * strings that anyone on the broker may have written; each message passes a schema before it is
 * believed, and what fails is a `Fault` with the code BAD_MESSAGE.
 */
import { z } from 'zod';
import { LIMITS } from '../base/limits.js';
import type { Exclusion } from '../survey/exclusions.js';
import type { Lease } from '../survey/lease.js';
import type { AgentStatus, SurveyStatus, TargetFate } from '../survey/status.js';
import type { Survey, SurveyRequest } from '../survey/survey.js';
import { type Codec, codec, token } from './codec.js';
import { transect } from './gen/messages.js';
import type { Grant, Heartbeat, Leader } from './ports.js';

const proto = transect.v1;

const count = z.number().int().min(0).max(LIMITS.spaceSizeMax);
const uint32 = z.number().int().min(0).max(0xffffffff);
const finite = z.number().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const octets = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array)
  .transform((value) => new Uint8Array(value));

const surveyShape = z.object({
  id: token,
  name: z.string(),
  state: z.enum(['running', 'paused', 'draining', 'done', 'cancelled']),
  probe: z.string(),
  probeOptions: z.record(z.string(), z.string()),
  rate: z.number().positive(),
  cooldown: finite,
  seed: z.string(),
  key: octets.refine((key) => key.length === 16),
  report: z.enum(['successes', 'all']),
  output: z.string(),
  contact: z.string(),
  purpose: z.string(),
  allowSpecial: z.array(z.string()),
  spaceHash: hash,
  rulesHash: hash,
  shardLength: z.number().int().min(1).max(LIMITS.shardLengthMax),
  planHash: hash,
  createdAt: finite,
  protocol: uint32,
  frontier: uint32,
  term: uint32,
});

/** A request has no id, key or plan yet. */
const requestShape = surveyShape.omit({
  id: true,
  state: true,
  key: true,
  shardLength: true,
  planHash: true,
  createdAt: true,
  protocol: true,
  frontier: true,
  term: true,
});

const reportShape = z
  .object({
    epoch: uint32,
    agent: token,
    vantage: z.string(),
    from: count,
    sent: count,
    probes: count,
    settled: count,
    batches: uint32,
    synack: uint32,
    rst: uint32,
    icmp: uint32,
    lost: uint32,
    excluded: uint32,
    startedAt: finite,
    updatedAt: finite,
    marks: z.array(z.object({ version: uint32, from: count })),
  })
  .refine(({ from, settled, sent }) => from <= settled && settled <= sent);

const leaseShape = z.object({
  survey: token,
  shard: uint32,
  state: z.enum(['held', 'released', 'settled']),
  reports: z.array(reportShape),
});

const heartbeatShape = z.object({
  agent: token,
  vantage: z.string(),
  version: z.string(),
  protocol: uint32,
  at: finite,
  ceiling: finite,
  invalid: count,
  state: z.enum(['working', 'leaving', 'refused']),
  trouble: z.string(),
  activities: z.array(
    z.object({
      survey: token,
      wants: z.boolean(),
      rate: finite,
      sent: count,
      grantSerial: count,
      replies: count,
      equipment: z.object({
        wire: z.string(),
        received: count,
        dropped: count,
        interfaceDropped: count,
        refusals: z.record(z.string(), count),
      }),
      exclusions: uint32,
    }),
  ),
});

const grantShape = z.object({
  survey: token,
  agent: token,
  serial: count,
  rate: finite,
  answers: finite,
  lasts: finite,
  exclusions: uint32,
  standDown: z.string(),
  handBack: z.array(uint32),
});

const exclusionShape = z.object({
  version: uint32.min(1),
  prefix: z.string(),
  reason: z.string(),
  by: z.string(),
  at: finite,
});

const leaderShape = z.object({
  id: z.string(),
  term: uint32,
  isVacant: z.boolean(),
});

const offerShape = z.object({ survey: token, shard: uint32 });

const statusShape = z.object({
  survey: token,
  name: z.string(),
  state: surveyShape.shape.state,
  targets: count,
  sent: count,
  covered: count,
  excluded: count,
  lost: count,
  coverage: finite,
  rate: finite,
  budget: finite,
  synack: count,
  rst: count,
  icmp: count,
  shards: count,
  stored: count,
  agents: uint32,
  rows: count,
  startedAt: finite,
  endedAt: finite,
  dropped: count,
  received: count,
  replies: count,
  trouble: z.string(),
});

const agentShape = z.object({
  agent: token,
  vantage: z.string(),
  version: z.string(),
  state: z.string(),
  rate: finite,
  seenMillisAgo: finite,
  received: count,
  dropped: count,
  trouble: z.string(),
  granted: finite,
});

const fateShape = z.object({
  address: z.string(),
  port: uint32,
  planned: z.boolean(),
  rule: z.string(),
  position: count,
  shard: uint32,
  state: z.enum(['unplanned', 'waiting', 'leased', 'probed', 'stored']),
  agent: z.string(),
  vantage: z.string(),
  from: finite,
  until: finite,
  result: z.string(),
});

const controlRequestShape = z.object({
  survey: z.string(),
  request: requestShape.optional(),
  immediately: z.boolean(),
  offset: count,
  target: z.string(),
  rate: finite,
  file: z.string(),
  prefix: z.string(),
  reason: z.string(),
  by: z.string(),
});

const controlReplyShape = z.object({
  fault: z
    .object({ code: z.string(), message: z.string(), flag: z.string(), value: z.string() })
    .optional(),
  survey: z.string(),
  statuses: z.array(statusShape),
  agents: z.array(agentShape),
  files: z.array(z.string()),
  chunk: octets,
  total: count,
  folder: z.string(),
  fates: z.array(fateShape),
  exclusions: z.array(exclusionShape),
  version: uint32,
  waiting: z.array(token),
});

export type ControlRequest = Omit<z.infer<typeof controlRequestShape>, 'request'> & {
  request?: SurveyRequest;
};
export type ControlReply = Omit<
  z.infer<typeof controlReplyShape>,
  'statuses' | 'agents' | 'fates'
> & {
  fates: readonly TargetFate[];
  statuses: readonly SurveyStatus[];
  agents: readonly AgentStatus[];
};

export const surveyCodec: Codec<Survey> = codec(proto.Survey, surveyShape);
export const leaseCodec: Codec<Lease> = codec(proto.Lease, leaseShape);
export const offerCodec: Codec<{ survey: string; shard: number }> = codec(
  proto.ShardOffer,
  offerShape,
);
export const heartbeatCodec: Codec<Heartbeat> = codec(proto.Heartbeat, heartbeatShape);
export const grantCodec: Codec<Grant> = codec(proto.Grant, grantShape);
export const exclusionCodec: Codec<Exclusion> = codec(proto.Exclusion, exclusionShape);
export const leaderCodec: Codec<Leader> = codec(proto.Leader, leaderShape);
export const requestCodec: Codec<Partial<ControlRequest>> = codec(
  proto.ControlRequest,
  controlRequestShape,
);
export const replyCodec: Codec<Partial<ControlReply>> = codec(
  proto.ControlReply,
  controlReplyShape,
);
