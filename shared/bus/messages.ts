/**
 * The one place where octets become domain values. What protobufjs decodes is a bag of numbers and
 * strings that anyone on the broker may have written; each message passes a schema before it is
 * believed, and what fails is a `Fault` with the code BAD_MESSAGE.
 */
import type { Reader, Writer } from 'protobufjs';
import { z } from 'zod';
import { Fault } from '../base/faults.js';
import { LIMITS } from '../base/limits.js';
import { CLASSIFICATION_NAMES } from '../probe/classification.js';
import type { Lease } from '../survey/lease.js';
import { COLUMN_NAMES, type Columns, type ResultBatch, UPPER_COLUMNS } from '../survey/results.js';
import type { AgentStatus, SurveyStatus, TargetFate } from '../survey/status.js';
import type { Survey, SurveyRequest } from '../survey/survey.js';
import { transect } from './gen/messages.js';
import type { Grant, Heartbeat } from './ports.js';

const proto = transect.v1;

/** A message that has a schema: both directions, checked where it comes in. */
export interface Codec<Value> {
  encode(value: Value): Uint8Array;
  /** @throws Fault BAD_MESSAGE */
  decode(bytes: Uint8Array): Value;
}

const count = z.number().int().min(0).max(LIMITS.spaceSizeMax);
const uint32 = z.number().int().min(0).max(0xffffffff);
const finite = z.number().min(0);
/** Names end up in subjects and file names. */
const token = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const octets = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array)
  .transform((value) => new Uint8Array(value));

const surveyShape = z.object({
  id: token,
  name: z.string(),
  state: z.enum(['running', 'draining', 'done', 'cancelled']),
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
});

/** A request has no id, key or plan yet. */
const requestShape = surveyShape.omit({
  id: true,
  state: true,
  key: true,
  shardLength: true,
  planHash: true,
  createdAt: true,
});

const reportShape = z
  .object({
    epoch: uint32,
    agent: token,
    vantage: z.string(),
    from: count,
    sent: count,
    settled: count,
    batches: uint32,
    synack: uint32,
    rst: uint32,
    icmp: uint32,
    lost: uint32,
    excluded: uint32,
    startedAt: finite,
    updatedAt: finite,
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
  shard: uint32,
  offset: count,
  target: z.string(),
});

const controlReplyShape = z.object({
  fault: z
    .object({ code: z.string(), message: z.string(), flag: z.string(), value: z.string() })
    .optional(),
  survey: z.string(),
  statuses: z.array(statusShape),
  agents: z.array(agentShape),
  shards: z.array(uint32),
  chunk: octets,
  total: count,
  output: z.string(),
  fates: z.array(fateShape),
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
export const requestCodec: Codec<Partial<ControlRequest>> = codec(
  proto.ControlRequest,
  controlRequestShape,
);
export const replyCodec: Codec<Partial<ControlReply>> = codec(
  proto.ControlReply,
  controlReplyShape,
);

/** Batches are checked by hand: a schema per element would cost more than all the rest. */
export const batchCodec: Codec<ResultBatch> = {
  encode({ columns, ...head }) {
    const isIpv4 = UPPER_COLUMNS.every(([name, word]) => columns[name].every((w) => w === word));
    const upper = isIpv4 ? UPPER_COLUMNS.map(([name]) => [name, []]) : [];
    const sparse = { ...head, ...columns, ...Object.fromEntries(upper) };
    return proto.ResultBatch.encode(sparse).finish();
  },
  decode(bytes) {
    const message = decodeWith(proto.ResultBatch, bytes);
    const { agent, vantage } = message;
    const survey = token.safeParse(message.survey).data;
    if (survey === undefined) throw malformed('ResultBatch', 'survey');
    const isIpv4 = UPPER_COLUMNS.every(([name]) => message[name].length === 0);
    const columns = {} as Columns;
    for (const [name, word] of isIpv4 ? UPPER_COLUMNS : []) {
      message[name] = message.offset.map(() => word);
    }
    for (const name of COLUMN_NAMES) {
      columns[name] = message[name];
      if (columns[name].length !== message.offset.length) throw malformed('ResultBatch', name);
    }
    if (!columns.offset.every((offset) => offset < LIMITS.shardLengthMax)) {
      throw malformed('ResultBatch', 'offset');
    }
    if (!columns.classification.every((code) => code > 0 && code < CLASSIFICATION_NAMES.length)) {
      throw malformed('ResultBatch', 'classification');
    }
    const { shard, epoch, serial } = message;
    const timestamp = Number(message.timestamp);
    return { survey, shard, epoch, serial, agent, vantage, timestamp, columns };
  },
};

interface MessageType<Message> {
  // The generated parameter types are all optional fields; the schemas are what we rely on.
  encode(message: never): Writer;
  decode(reader: Uint8Array | Reader): Message;
  toObject(message: Message, options: object): Record<string, unknown>;
}

function codec<Value, Message>(type: MessageType<Message>, shape: z.ZodType): Codec<Value> {
  const { name } = type as unknown as { name: string };
  return {
    encode: (value) => type.encode(value as never).finish(),
    decode(bytes) {
      const options = { longs: Number, defaults: true, arrays: true, objects: true };
      const plain = type.toObject(decodeWith(type, bytes), options);
      // A sub-message that is absent decodes as null; the schemas say `optional`.
      const present = Object.entries(plain).filter(([, field]) => field !== null);
      const checked = shape.safeParse(Object.fromEntries(present));
      if (checked.success) return checked.data as Value;
      throw malformed(name, checked.error.issues[0]?.path.join('.') ?? '', checked.error);
    },
  };
}

function decodeWith<Message>(type: MessageType<Message>, bytes: Uint8Array): Message {
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw malformed((type as unknown as { name: string }).name, '', cause);
  }
}

function malformed(message: string, field: string, cause?: unknown): Fault {
  const where = field === '' ? message : `${message}.${field}`;
  return new Fault('BAD_MESSAGE', `malformed message from the broker: ${where}`, {}, cause);
}
