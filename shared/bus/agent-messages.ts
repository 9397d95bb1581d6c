/** The codecs of the agent API: heartbeats, their replies, and the requests for data. */
import { z } from 'zod';
import { LIMITS } from '../base/limits.js';
import { KEY_OCTETS } from '../probe/cookies.js';
import type { Exclusion } from '../survey/policy/exclusions.js';
import { TEXT } from '../survey/text.js';
import { type Codec, codec, text, token, vantage } from './codec.js';
import { faultShape } from './control-messages.js';
import { transect } from './gen/messages.js';
import type { Heartbeat, HeartbeatReply, SignedReply } from './heartbeat.js';
import {
  count,
  exclusionShape,
  findings,
  finite,
  hash,
  octets,
  progressShape,
  surveyShape,
  uint32,
} from './messages.js';
import { compacted, unchangedReports } from './unchanged-shards.js';

const proto = transect.v1;

/** Characters of a key or a signature. */
const SIGNATURE_MAX = 256;
/** Distinct errno names. */
const ERRORS_MAX = 200;
/** Surveys that one agent knows, or works on, at once. */
const SURVEYS_MAX = 1000;

const reportShape = z.object({
  shard: uint32,
  epoch: uint32,
  state: z.enum(['held', 'released', 'settled']),
  progress: progressShape
    .refine(({ settledUpTo, sentUpTo }) => settledUpTo <= sentUpTo)
    .nullish()
    .transform((progress) => progress ?? undefined),
  icmpLimited: findings,
  slowedNetworks: findings,
});

const activityShape = z
  .object({
    survey: token,
    hasWork: z.boolean(),
    rate: finite,
    probesSent: count,
    ceiling: finite,
    grantSerial: count,
    replies: count,
    otherPort: count,
    otherAddress: count,
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
    rulesHash: hash.or(z.literal('')),
    wanted: uint32,
    shards: z.array(reportShape),
    unchanged: z.array(uint32).refine(({ length }) => length % 2 === 0),
  })
  .refine(({ shards, unchanged }) => shards.length + unchanged.length / 2 <= LIMITS.leasesPerAgent)
  .transform(({ unchanged, ...activity }) => ({
    ...activity,
    shards: [...activity.shards, ...unchangedReports(unchanged)],
  }));

const heartbeatShape = z.object({
  vantage,
  version: text(TEXT.WORD),
  protocol: uint32,
  session: token,
  sentAt: finite,
  invalid: count,
  state: z.enum(['working', 'leaving', 'refused']),
  problem: text(TEXT.LINE),
  problemCode: text(TEXT.WORD),
  known: z.array(z.object({ survey: token, version: count })).max(SURVEYS_MAX),
  activities: z.array(activityShape).max(SURVEYS_MAX),
  wantsSignature: z.boolean(),
});

const grantShape = z.object({
  survey: token,
  serial: count,
  rate: finite,
  ttlMillis: finite.max(LIMITS.grantMillis),
  exclusionsVersion: uint32,
  quarantineReason: text(TEXT.LINE),
  releaseShards: z.array(uint32),
});

const shardEpochShape = z.object({ survey: token, shard: uint32, epoch: uint32 });

const heartbeatReplyShape = z.object({
  term: uint32,
  protocol: uint32,
  surveys: z.array(z.object({ version: count, record: surveyShape })),
  forgotten: z.array(token),
  offered: z.array(token),
  grants: z.array(grantShape),
  leases: z.array(
    shardEpochShape.extend({
      from: count,
      key: octets.refine(({ length }) => length === KEY_OCTETS),
    }),
  ),
  lost: z.array(shardEpochShape),
  exclusionsVersion: uint32,
  exclusionsHead: hash.or(z.literal('')),
  gapMillis: z.number().min(0).max(LIMITS.heartbeatMillis),
});

const requestShape = z.object({
  heartbeat: heartbeatShape.optional(),
  hash: hash.or(z.literal('')),
  offset: count,
  total: count,
  chunk: octets,
  after: uint32,
});

const signedReplyShape = z.object({
  octets,
  key: z.string().max(SIGNATURE_MAX),
  signature: z.string().max(SIGNATURE_MAX),
});

const replyShape = z.object({
  signed: signedReplyShape.optional(),
  fault: faultShape.optional(),
  heartbeat: heartbeatReplyShape.optional(),
  chunk: octets,
  total: count,
  exclusions: z.array(exclusionShape),
});

export type AgentRequest = Omit<z.infer<typeof requestShape>, 'heartbeat'> & {
  readonly heartbeat?: Heartbeat | undefined;
};
export type AgentReply = Omit<z.infer<typeof replyShape>, 'heartbeat' | 'signed' | 'exclusions'> & {
  readonly signed?: SignedReply | undefined;
  readonly heartbeat?: HeartbeatReply | undefined;
  readonly exclusions: readonly Exclusion[];
};

const wholeRequestCodec: Codec<Partial<AgentRequest>> = codec(proto.AgentRequest, requestShape);
export const agentRequestCodec: Codec<Partial<AgentRequest>> = {
  ...wholeRequestCodec,
  encode: ({ heartbeat, ...others }) =>
    wholeRequestCodec.encode({ ...others, ...(heartbeat && { heartbeat: compacted(heartbeat) }) }),
};
export const agentReplyCodec: Codec<Partial<AgentReply>> = codec(proto.AgentReply, replyShape);
export const heartbeatReplyCodec: Codec<HeartbeatReply> = codec(
  proto.HeartbeatReply,
  heartbeatReplyShape,
);
export const announcementCodec: Codec<{ readonly survey: string }> = codec(
  proto.Announcement,
  z.object({ survey: token.or(z.literal('')) }),
);
