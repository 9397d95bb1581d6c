/**
 * The bounds of queues, batches, retries and loops in one place, with the relations between them. A bound
 * that is not here is declared where it is used.
 */
import { assert } from './assert.js';

export const LIMITS = {
  /** The most targets in a space: up to this number, a double holds every whole number exactly. */
  spaceSizeMax: 2 ** 53,
  /** Positions in a shard: bounds an agent's memory per lease (one octet each). */
  shardLengthMax: 2 ** 22,
  /** Shards that one agent holds at once: sending, waiting or cooling down. */
  leasesPerAgent: 512,
  /** Leases that an agent gets with one heartbeat. */
  leasingAtOnce: 64,
  /** Rows in one result batch; about 50 octets each, so about 200 KiB. */
  batchRows: 4096,
  /** A row waits this long in an agent before its batch is published. */
  batchMillis: 250,
  /** Period of an agent's heartbeats. */
  heartbeatMillis: 1000,
  /** Period in which an agent claims progress of a shard, which its next heartbeat reports. */
  claimMillis: 250,
  /** Interval at which an agent checks whether a shard has settled. */
  settlePollMillis: 25,
  /** Lifetime of a grant, from the heartbeat that it answers. */
  grantMillis: 3000,
  /** Liveness timeout: an agent without heartbeats for this long is dead. */
  agentTimeoutMillis: 5000,
  /** A result batch that has not been acknowledged for this long after its delivery is delivered again. */
  resultAckMillis: 600_000,
  /** A request between processes waits this long for its answer. */
  requestMillis: 2000,
  /** Rows of settled shards that wait to be stored, per survey: about 200 octets of memory each. */
  rowsWaiting: 2 ** 19,
  /** Finished surveys whose last status a coordinator keeps in memory. */
  finishedSurveys: 1000,
  /** Octets of a file that is read whole: enough for a space of 128 million listed addresses. */
  fileOctets: 2 * 1024 ** 3 - 1,
  /** Octets of the largest space: 134 M IPv6 addresses. A stored record cannot claim more. */
  spaceOctets: 2 ** 31,
  /** Octets of one line of a journal. */
  lineOctets: 64 * 1024 ** 2,
  /** Octets of a survey's record and its manifest. */
  recordOctets: 16 * 1024 ** 2,
  /** Maximum octets of a segment, or of an answer, in one message. */
  chunkOctets: 512 * 1024,
  /** The time between two probes of a silent target, if the survey asks for more than one. */
  repeatMillis: 1000,
  /** Probes per target that a survey may ask for. */
  probesPerTargetMax: 10,
  /** Attempts to send a probe that the kernel refuses, before the position counts as unsent. */
  sendTries: 4,
  /** Octets captured of each reply: enough for headers with options and 400 octets of a payload or an ICMP quote. */
  snapOctets: 512,
  /** Warn above this share of dropped frames: replies are being missed. */
  dropShareMax: 0.001,
  /**
   * Buffer of the capture, in octets: up to `fastPps` probes per second, and above. The kernel takes 100 ms to
   * allocate the larger one.
   */
  captureOctets: { usual: 16 * 1024 * 1024, fast: 64 * 1024 * 1024, fastPps: 100_000 },
} as const;

assert(
  LIMITS.heartbeatMillis * 2 < LIMITS.grantMillis,
  'a grant does not survive one lost heartbeat',
);
assert(
  LIMITS.grantMillis < LIMITS.agentTimeoutMillis,
  'an agent counts as dead before its grants expire',
);
