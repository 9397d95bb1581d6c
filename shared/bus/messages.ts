/**
 * The codecs of all messages except result batches (`batch-codec.ts`). Messages are untrusted: each is
 * checked against a schema when it is decoded, and a failure is a `Fault` with the code BAD_MESSAGE.
 */
import { z } from 'zod';
import { LIMITS } from '../base/limits.js';
import type { Lease } from '../survey/lease.js';
import type { Exclusion } from '../survey/policy/exclusions.js';
import {
  AGENT_STATES,
  type AgentStatus,
  type LookupResult,
  type SurveyStatus,
} from '../survey/status.js';
import type { Survey, SurveyRequest } from '../survey/survey.js';
import { TEXT } from '../survey/text.js';
import type { UnsentName } from '../survey/unsent.js';
import { type Codec, codec, text, token, vantage } from './codec.js';
import { transect } from './gen/messages.js';
import type { Grant, Heartbeat } from './heartbeat.js';
import type { Leader } from './interfaces.js';

const proto = transect.v1;

const count = z.number().int().min(0).max(LIMITS.spaceSizeMax);
const uint32 = z.number().int().min(0).max(0xffffffff);
const finite = z.number().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const octets = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array)
  .transform((value) => new Uint8Array(value));

const ALLOWED_MAX = 10_000;
/** Distinct errno names. */
const ERRORS_MAX = 200;
/** Surveys that one agent works on at once. */
const ACTIVITIES_MAX = 1000;

const surveyShape = z.object({
  id: token,
  name: text(TEXT.NAME),
  state: z.enum(['running', 'paused', 'draining', 'done', 'cancelled']),
  probe: text(TEXT.WORD),
  probeOptions: z.record(text(TEXT.WORD), text(TEXT.LINE)),
  rate: z.number().positive(),
  cooldown: finite,
  seed: text(TEXT.NAME),
  key: octets.refine((key) => key.length === 16),
  rows: z.enum(['successes', 'all']),
  segmentFormat: text(TEXT.WORD),
  contact: text(TEXT.LINE),
  purpose: text(TEXT.LINE),
  allowSpecial: z.array(text(TEXT.WORD)).max(ALLOWED_MAX),
  spaceHash: hash,
  rulesHash: hash,
  shardLength: z.number().int().min(1).max(LIMITS.shardLengthMax),
  planHash: hash,
  createdAt: finite,
  protocol: uint32,
  storedBelow: uint32,
  term: uint32,
  firstEpoch: uint32,
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
  storedBelow: true,
  term: true,
  firstEpoch: true,
});

/** Unsent positions by reason. */
const unsentShape = {
  excluded: count,
  blocked: count,
  unroutable: count,
  noNeighbour: count,
  firewalled: count,
  sendFailed: count,
} as const satisfies Record<UnsentName, typeof count>;

const epochShape = z
  .object({
    epoch: uint32,
    agent: token,
    vantage,
    from: count,
    sentUpTo: count,
    probesSent: count,
    settledUpTo: count,
    batches: uint32,
    synack: uint32,
    rst: uint32,
    icmp: uint32,
    ...unsentShape,
    rulesHash: hash.or(z.literal('')),
    startedAt: finite,
    updatedAt: finite,
    versionSpans: z.array(z.object({ version: uint32, from: count })),
  })
  .refine(({ from, settledUpTo, sentUpTo }) => from <= settledUpTo && settledUpTo <= sentUpTo);

const leaseShape = z.object({
  survey: token,
  shard: uint32,
  state: z.enum(['held', 'released', 'settled']),
  epochs: z.array(epochShape),
});

const heartbeatShape = z.object({
  agent: token,
  vantage,
  version: text(TEXT.WORD),
  protocol: uint32,
  sentAt: finite,
  invalid: count,
  state: z.enum(['working', 'leaving', 'refused']),
  problem: text(TEXT.LINE),
  problemCode: text(TEXT.WORD),
  activities: z
    .array(
      z.object({
        survey: token,
        hasWork: z.boolean(),
        rate: finite,
        probesSent: count,
        ceiling: finite,
        grantSerial: count,
        replies: count,
        ioStats: z.object({
          transmit: text(TEXT.NAME),
          framesReceived: count,
          framesDropped: count,
          interfaceDropped: count,
          sendErrors: z
            .record(text(TEXT.WORD), count)
            .refine((counts) => Object.keys(counts).length <= ERRORS_MAX),
        }),
        exclusionsVersion: uint32,
      }),
    )
    .max(ACTIVITIES_MAX),
});

const grantShape = z.object({
  survey: token,
  agent: token,
  serial: count,
  rate: finite,
  heartbeatAt: finite,
  ttlMillis: finite,
  exclusionsVersion: uint32,
  quarantineReason: text(TEXT.LINE),
  releaseShards: z.array(uint32),
});

const exclusionShape = z.object({
  version: uint32.min(1),
  prefix: text(TEXT.WORD),
  reason: text(TEXT.LINE),
  by: text(TEXT.NAME),
  at: finite,
  lifts: uint32,
});

const leaderShape = z.object({
  id: text(TEXT.NAME),
  term: uint32,
  resigned: z.boolean(),
});

const offerShape = z.object({ survey: token, shard: uint32 });

const statusShape = z.object({
  survey: token,
  name: z.string(),
  state: surveyShape.shape.state,
  targets: count,
  probesSent: count,
  targetsCovered: count,
  ...unsentShape,
  batchesSetAside: count,
  notice: z.string(),
  coverage: finite,
  rate: finite,
  budget: finite,
  synack: count,
  rst: count,
  icmp: count,
  shards: count,
  shardsStored: count,
  agents: uint32,
  rowsStored: count,
  startedAt: finite,
  endedAt: finite,
  framesDropped: count,
  framesReceived: count,
  replies: count,
  problem: z.string(),
});

const agentShape = z.object({
  agent: token,
  vantage: z.string(),
  version: z.string(),
  state: z.enum(AGENT_STATES),
  rate: finite,
  seenMillisAgo: finite,
  framesReceived: count,
  framesDropped: count,
  problem: z.string(),
  problemCode: z.string(),
  granted: finite,
});

const lookupShape = z.object({
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
  outcome: z.string(),
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
  reason: text(TEXT.LINE),
  by: text(TEXT.NAME),
  lifted: z.string(),
});

const controlReplyShape = z.object({
  fault: z
    .object({ code: z.string(), message: z.string(), flag: z.string(), value: z.string() })
    .optional(),
  survey: token.or(z.literal('')),
  statuses: z.array(statusShape),
  agents: z.array(agentShape),
  files: z.array(z.string()),
  chunk: octets,
  total: count,
  folder: z.string(),
  results: z.array(lookupShape),
  exclusions: z.array(exclusionShape),
  version: uint32,
  waiting: z.array(token),
});

export type ControlRequest = Omit<z.infer<typeof controlRequestShape>, 'request'> & {
  request?: SurveyRequest | undefined;
};
export type ControlReply = Omit<
  z.infer<typeof controlReplyShape>,
  'statuses' | 'agents' | 'results'
> & {
  results: readonly LookupResult[];
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
