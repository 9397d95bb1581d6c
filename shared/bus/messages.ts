/**
 * The codecs of the records on the broker. Those of result batches are in `batch-codec.ts`, those of requests in
 * `agent-messages.ts` and `control-messages.ts`. Messages are untrusted: each is
 * checked against a schema when it is decoded, and a failure is a `Fault` with the code BAD_MESSAGE.
 */
import { z } from 'zod';
import { LIMITS } from '../base/limits.js';
import { CLASSES_MAX, PROBES_MAX } from '../probe/probe-set.js';
import { FINDINGS_PER_EPOCH, isFinding } from '../survey/icmp-findings.js';
import type { Lease } from '../survey/lease.js';
import type { Exclusion } from '../survey/policy/exclusions.js';
import { UNLIMITED } from '../survey/quantities.js';
import { isAliasLength } from '../survey/space/alias-tests.js';
import type { Survey } from '../survey/survey.js';
import { END_REASONS } from '../survey/survey-limits.js';
import { TEXT } from '../survey/text.js';
import type { UnsentName } from '../survey/unsent.js';
import { type Codec, codec, text, token, vantage } from './codec.js';
import { transect } from './gen/messages.js';
import type { Leader } from './interfaces.js';
import { CHANGE_KINDS, type FileChange } from './replication-log.js';

const proto = transect.v1;

export const count = z.number().int().min(0).max(LIMITS.spaceSizeMax);
export const uint32 = z.number().int().min(0).max(0xffffffff);
export const finite = z.number().min(0);
export const hash = z.string().regex(/^[0-9a-f]{64}$/);
export const octets = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array)
  .transform((value) => new Uint8Array(value));

const ALLOWED_MAX = 10_000;
const AUTHORIZATION_MAX = 512 * 1024;
const SIGNATURE_MAX = 16_384;
const ALIAS_LENGTHS_MAX = 32;
/** The maximum length of one option of a probe; the longest option is a payload in hexadecimal. */
const PROBE_OPTION_MAX = 4096;
/** The maximum length of an agent's signature, with its public key. */
const REPORT_SIGNATURE_MAX = 256;
/** The maximum length of a path within the data folder. */
const PATH_MAX = 256;

/** Counts by the name of a class. */
export const byClass = (value: z.ZodNumber) =>
  z.record(text(TEXT.WORD), value).refine((counts) => Object.keys(counts).length <= CLASSES_MAX);

export const surveyShape = z.object({
  id: token,
  name: text(TEXT.NAME),
  state: z.enum(['running', 'paused', 'draining', 'done', 'cancelled']),
  probes: z
    .array(
      z.object({
        name: text(TEXT.WORD),
        options: z.record(text(TEXT.WORD), text(PROBE_OPTION_MAX)),
      }),
    )
    .min(1)
    .max(PROBES_MAX),
  limits: z.object({
    maxTargets: count.min(1),
    maxResults: count,
    maxRuntime: finite,
    minHitrate: finite.max(100),
  }),
  probesPerTarget: z.number().int().min(1).max(LIMITS.probesPerTargetMax),
  aliasLengths: z.array(z.number().refine(isAliasLength)).max(ALIAS_LENGTHS_MAX).default([]),
  crossCheckInterval: uint32.default(0),
  rate: z.number().positive().max(UNLIMITED),
  cooldown: finite,
  seed: text(TEXT.NAME),
  rows: z.enum(['successes', 'all']),
  segmentFormat: text(TEXT.WORD),
  contact: text(TEXT.LINE),
  purpose: text(TEXT.LINE),
  allowSpecial: z.array(text(TEXT.WORD)).max(ALLOWED_MAX),
  authorization: z.string().max(AUTHORIZATION_MAX),
  signature: z.string().max(SIGNATURE_MAX),
  spaceHash: hash,
  rulesHash: hash,
  shardLength: z.number().int().min(1).max(LIMITS.shardLengthMax),
  planHash: hash,
  createdAt: finite,
  protocol: uint32,
  term: uint32,
  firstEpoch: uint32,
  endReason: z.enum(END_REASONS),
});

/** A request has no id or plan yet. */
export const requestShape = surveyShape.omit({
  id: true,
  state: true,
  shardLength: true,
  planHash: true,
  createdAt: true,
  protocol: true,
  term: true,
  firstEpoch: true,
  endReason: true,
});

/** Unsent positions by reason. */
export const unsentShape = {
  excluded: count,
  blocked: count,
  unroutable: count,
  noNeighbour: count,
  firewalled: count,
  sendFailed: count,
  prohibited: count,
} as const satisfies Record<UnsentName, typeof count>;

export const findings = z
  .array(z.string().max(TEXT.WORD).refine(isFinding))
  .max(FINDINGS_PER_EPOCH);

export const progressShape = z.object({
  sentUpTo: count,
  probesSent: count,
  settledUpTo: count,
  batches: uint32,
  replies: byClass(uint32),
  ...unsentShape,
  versionSpans: z.array(z.object({ version: uint32, from: count })),
  signature: z
    .string()
    .max(REPORT_SIGNATURE_MAX)
    .default('')
    .transform((signed) => signed || undefined),
});

const epochShape = progressShape
  .extend({
    epoch: uint32,
    agent: token,
    vantage,
    from: count,
    icmpLimited: findings,
    slowedNetworks: findings,
    rulesHash: hash.or(z.literal('')),
    startedAt: finite,
    updatedAt: finite,
  })
  .refine(({ from, settledUpTo, sentUpTo }) => from <= settledUpTo && settledUpTo <= sentUpTo);

const leaseShape = z.object({
  survey: token,
  shard: uint32,
  state: z.enum(['held', 'released', 'settled']),
  epochs: z.array(epochShape),
  term: uint32,
});

export const exclusionShape = z.object({
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

const fileChangeShape = z.object({
  kind: z.enum(CHANGE_KINDS),
  path: z.string().max(PATH_MAX),
  offset: count,
  size: count,
  data: octets,
  term: uint32,
});

export const surveyCodec: Codec<Survey> = codec(proto.Survey, surveyShape);
export const leaseCodec: Codec<Lease> = codec(proto.Lease, leaseShape);
export const exclusionCodec: Codec<Exclusion> = codec(proto.Exclusion, exclusionShape);
export const fileChangeCodec: Codec<FileChange> = codec(proto.FileChange, fileChangeShape);
export const leaderCodec: Codec<Leader> = codec(proto.Leader, leaderShape);
