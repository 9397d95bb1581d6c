/**
 * Every bound in one place, with the relations they must keep. A queue, batch, retry or loop that
 * is not bounded here is bounded by one of these.
 */
import { assert } from './assert.js';

export const LIMITS = {
  /** Targets in a space: what a double holds exactly. */
  spaceSizeMax: 2 ** 53,
  /** Positions in a shard, at most: bounds an agent's memory per lease (one byte each). */
  shardLengthMax: 2 ** 22,
  /** Shards offered and not yet leased, per survey: what keeps the agents fed. */
  dispatchWindow: 64,
  /** The same where agents take them faster than that. */
  dispatchWindowMax: 2048,
  /** Shards that one agent holds at once: sending, waiting or cooling. */
  leasesPerAgent: 512,
  /** Shards that one agent is leasing at once. */
  leasingAtOnce: 16,
  /** Agents' requests for an offer that may wait at the broker. */
  requestsWaiting: 65_536,
  /** Rows in one result batch; about 50 octets each, so about 200 KiB. */
  batchRows: 4096,
  /** How long a row waits in an agent before its batch leaves. */
  batchMillis: 250,
  /** How often an agent writes checkpoints and heartbeats. */
  checkpointMillis: 1000,
  /** How often an agent looks whether a shard has settled. */
  settlePollMillis: 100,
  /** A grant lapses this long after the heartbeat it answers. */
  grantMillis: 3000,
  /** An agent not heard of for this long is gone. */
  agentTimeoutMillis: 5000,
  /** A work message not extended for this long is offered again. */
  workAckMillis: 8000,
  /** How often a held work message is extended. */
  workExtendMillis: 2000,
  /** A result batch not stored for this long is delivered again. */
  resultAckMillis: 600_000,
  /** A request between processes waits this long for its answer. */
  requestMillis: 2000,
  /** Rows of settled shards that wait to be stored, per survey: about 200 octets of memory each. */
  rowsWaiting: 2 ** 19,
  /** Surveys that are over whose last status a coordinator keeps in memory. */
  finishedSurveys: 1000,
  /** Octets of a file that is read as a whole: a space of 128 million listed addresses. */
  fileOctets: 2 * 1024 ** 3 - 1,
  /** Octets of one line of a journal. */
  lineOctets: 64 * 1024 ** 2,
  /** Octets of a survey's record and its manifest. */
  recordOctets: 16 * 1024 ** 2,
  /** Octets of a segment, or of an answer, carried by one message. */
  chunkOctets: 512 * 1024,
  /** Positions of a probe that the kernel refuses, tried again this often before it is lost. */
  sendTries: 4,
  /** Octets captured of each reply: link, IP with options, TCP with options, an ICMP quote. */
  snapOctets: 192,
  /** More dropped frames than this share of all make a survey's silence doubtful. */
  dropShareMax: 0.001,
  /** Buffer of the capture, in octets. */
  captureOctets: 64 * 1024 * 1024,
} as const;

assert(LIMITS.workExtendMillis * 3 < LIMITS.workAckMillis, 'a lease survives two lost extensions');
assert(LIMITS.checkpointMillis * 2 < LIMITS.grantMillis, 'a grant survives one lost heartbeat');
assert(
  LIMITS.grantMillis < LIMITS.agentTimeoutMillis,
  'a silent agent’s grants lapse before it is gone',
);
