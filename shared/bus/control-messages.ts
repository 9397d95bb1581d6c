/** The codecs of requests to the coordinator and of its replies: status, agents, lookups, files, exclusions. */
import { z } from 'zod';
import {
  AGENT_STATES,
  type AgentStatus,
  type LookupResult,
  type SurveyStatus,
} from '../survey/status.js';
import type { SurveyRequest } from '../survey/survey.js';
import { TEXT } from '../survey/text.js';
import { type Codec, codec, text, token } from './codec.js';
import type { Enrolment } from './control-api.js';
import { transect } from './gen/messages.js';
import {
  byClass,
  count,
  exclusionShape,
  finite,
  octets,
  requestShape,
  surveyShape,
  uint32,
  unsentShape,
} from './messages.js';

const proto = transect.v1;

const findingsShape = z.object({ count, examples: z.array(z.string()) });

const statusShape = z.object({
  survey: token,
  name: z.string(),
  state: surveyShape.shape.state,
  endReason: surveyShape.shape.endReason,
  targets: count,
  probesSent: count,
  targetsCovered: count,
  ...unsentShape,
  icmpLimited: findingsShape,
  slowedNetworks: findingsShape,
  otherPort: count,
  otherAddress: count,
  batchesSetAside: count,
  notice: z.string(),
  coverage: finite,
  rate: finite,
  budget: finite,
  replied: byClass(count),
  probes: z.array(z.string()),
  probesPerTarget: uint32,
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
  probe: z.string(),
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
  remark: z.string(),
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
  hash: z.string(),
  total: count,
  chunk: octets,
});

const enrolmentShape = z.object({
  name: token,
  key: z.string().regex(/^U[A-Z2-7]{55}$/),
  host: text(TEXT.NAME),
  at: finite,
});

export const faultShape = z.object({
  code: z.string(),
  message: z.string(),
  flag: z.string(),
  value: z.string(),
});

const controlReplyShape = z.object({
  fault: faultShape.optional(),
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
  enrolments: z.array(enrolmentShape),
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

export const requestCodec: Codec<Partial<ControlRequest>> = codec(
  proto.ControlRequest,
  controlRequestShape,
);
export const replyCodec: Codec<Partial<ControlReply>> = codec(
  proto.ControlReply,
  controlReplyShape,
);
export const enrolmentCodec: Codec<Enrolment> = codec(proto.Enrolment, enrolmentShape);
