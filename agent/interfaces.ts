/** The interfaces between the parts of an agent. `agent.ts` wires them. */
import type { IoStats } from '../shared/bus/heartbeat.js';
import type { Endpoint } from '../shared/net/endpoint.js';
import type { PortRange } from '../shared/net/ports.js';
import type { Dissection, LinkLayer } from '../shared/packet/dissect.js';
import type { MacAddress } from '../shared/packet/ethernet.js';
import type { CookieMac } from '../shared/probe/cookies.js';
import type { Plan } from '../shared/survey/plan.js';
import type { AddressLists } from '../shared/survey/policy/address-lists.js';
import type { VersionSpan } from '../shared/survey/policy/exclusions.js';
import type { Survey } from '../shared/survey/survey.js';

/**
 * Sends packets of one family and length. Packets are written in place into frames that the kernel reads, and
 * then a run of frames is sent. Frames are reused in turn. Slot numbers count frames from the first unsent
 * one: that frame is in slot 0, the next in slot 1.
 */
export interface FrameSender {
  /** For people, logs and manifests: `af-xdp eth0`, `raw-ip lo`. */
  readonly name: string;
  /** The memory of all frames. */
  readonly view: DataView;
  /** Number of frames. */
  readonly frames: number;
  /** Offset of the IP header of frame n, 0 ≤ n < `frames`; the link header is written already. */
  packetAt(frame: number): number;
  /** Number of slots that may be written now; it is lower, or 0, while the kernel uses frames. */
  room(): number;
  /** Stores the offsets of the packets of slots [0, count) in `packetAt`; count ≤ `room()`. */
  locate(count: number, packetAt: Uint32Array): void;
  /**
   * Sends the frames in slots [0, count), in order. @returns how many the kernel accepted; the others are moved
   * to slots [0, count − accepted), and `errno` gives the reason
   */
  send(count: number): number;
  /** Drops the frame in slot 0, which the kernel refuses permanently. */
  dropFirst(): void;
  /** Drops all frames that were written and not accepted. */
  discard(): void;
  readonly errno: number;
  close(): void;
}

/** The next hop on Ethernet. */
export interface NextHop {
  readonly source: MacAddress;
  /** MAC address of the gateway; undefined if targets are neighbours on the link. */
  readonly gateway: MacAddress | undefined;
  readonly vlan?: number | undefined;
}

/** The destinations of one egress route, of one family; plain data. */
export type Destinations =
  | { readonly family: 4; readonly from: Float64Array; readonly to: Float64Array }
  /** The `words` of a `Ranges6`. */
  | { readonly family: 6; readonly words: Uint32Array };

/** Refused system calls by errno name. */
export type SendErrors = Readonly<Record<string, number>>;

/** Used in place of an `UNSENT` code for a position in a slowed network, which is to be sent later. */
export const DEFERRED = 255;

/** A position without a probe. */
export interface Unsent {
  readonly position: number;
  /** An `UNSENT` code, or `DEFERRED`. */
  readonly code: number;
}

/**
 * Results of a lookup that finds no MAC address: resolution is in progress; no host on the link has the
 * address; or no request could be sent.
 */
export const RESOLVING = 'asking';
export const UNREACHABLE = 'nobody';
export const NOT_SENT = 'unasked';

export type Found = Uint8Array | typeof RESOLVING | typeof UNREACHABLE | typeof NOT_SENT;

/** Resolves the MAC addresses of neighbours on the link, as they are needed. */
export interface Neighbours {
  /** Requests a target's MAC address, unless it is known or being resolved. @returns true if a packet was sent */
  request(target: Endpoint, now: number): boolean;
  lookup(target: Endpoint, now: number): Found;
  /**
   * Reads answers, and repeats at most `most` of the requests that are due.
   * @returns packets sent
   */
  poll(now: number, most: number): number;
  close(): void;
}

/** A shard, or the rest of one, that is being sent. */
export interface Sending {
  /** Every position below it was sent, or recorded as unsent. */
  readonly sentUpTo: number;
  /**
   * The positions recorded as unsent since the last call: at least all those below a `sentUpTo` that was read
   * before this call.
   */
  takeUnsent(): readonly Unsent[];
  /** Probes that the kernel has accepted. */
  readonly probesSent: number;
  /** Ascending. */
  readonly versionSpans: readonly VersionSpan[];
  /** True once no more of it will be sent: it is complete, or was abandoned. */
  readonly hasEnded: boolean;
  /** Stops after the current batch. */
  abandon(): void;
  /**
   * Frees the job's slot for another job; allowed only once `hasEnded`. The properties of this object keep
   * their last values.
   */
  releaseSlot(): void;
}

/** The classes of positions so far, in memory that threads share. */
export interface KnownClasses {
  /** By position: 0 if it is silent so far. */
  readonly classes: Uint8Array;
  /** The position of the first element. */
  readonly classesFrom: number;
}

/** How a job is sent. What distinguishes it from the jobs of the first round lets it be sent before them. */
export interface SendMode {
  /** The key of the shard's lease: sixteen octets. */
  readonly key: Uint8Array;
  /** Only positions that are silent so far are sent. */
  readonly known?: KnownClasses;
  /** The positions were deferred before, and are sent now. */
  readonly isDeferred?: boolean;
}

/** The sender of one shard, whose key it knows. */
export interface ShardSender {
  /** As `Sender.send`. */
  send(from: number, to: number, mode?: Omit<SendMode, 'key'>): Sending;
  readonly freeSlots: number;
}

/** Sends shards in the given order, at the granted rate. */
export interface Sender {
  /** Sends positions [from, to), after all earlier jobs of the same mode; needs a free slot. */
  send(from: number, to: number, mode: SendMode): Sending;
  /** Jobs that may be added now. */
  readonly freeSlots: number;
  /** Defers probes to the network around an address from now on, for the rest of the survey. */
  slowDown(address: Endpoint): void;
  /**
   * Grants packets per second until an instant of the monotonic clock; replaces the previous grant. Nothing
   * is sent before version `exclusionsVersion` of the exclusions is enforced.
   */
  grant(rate: number, until: number, exclusionsVersion: number): void;
  /** Sets the excluded addresses, in addition to those that this agent always blocks. */
  setExclusions(addresses: AddressLists, version: number): void;
  /** The version of the exclusions against which every probe is checked from now on. */
  readonly exclusionsVersion: number;
  /** Totals since it was opened. */
  readonly totals: { readonly probesSent: number; readonly sendErrors: SendErrors };
  /** Names of the frame senders in use. */
  readonly transmit: string;
  close(): Promise<void>;
}

/** Frames that passed the filter, and dropped frames. */
export type CaptureTotals = Pick<IoStats, 'framesReceived' | 'framesDropped' | 'interfaceDropped'>;

/** Settings of a frame source. */
export interface SourceSetup {
  readonly device: string;
  /** A pcap-filter(7) expression, for packets without a link header. */
  readonly filter: string;
  /** Only frames with this VLAN tag; undefined for all frames. */
  readonly vlan?: number | undefined;
  /** Size of the buffer, a multiple of 1 MiB; 64 MiB by default. */
  readonly bufferOctets?: number;
}

/**
 * Called with a frame at [start, end) of the source's view, and its capture time in microseconds since the
 * Unix epoch.
 */
export type Receive = (start: number, end: number, timestamp: number) => void;

/** The captured frames of one interface, each read in place, one after the other. */
export interface FrameSource {
  readonly link: LinkLayer;
  /** The memory in which every frame is delivered. */
  readonly view: DataView;
  /** Totals since it was opened. */
  readonly totals: CaptureTotals;
  /** False once the source has failed. */
  readonly isAlive: boolean;
  /** Time (our monotonic clock): all frames that arrived before it have been delivered. */
  readonly readUntil: number;
  /** Replaces the filter; frames that are already buffered were checked against the previous filter. */
  setFilter(filter: string): void;
  start(receive: Receive): void;
  close(): void;
}

/** A survey's share of the capture on one interface. */
export interface Capture {
  /**
   * The dissection of the current frame; valid until the next frame, because every frame is dissected into
   * this object.
   */
  readonly dissection: Dissection;
  /** Totals since the capture was opened, of all surveys that share the interface. */
  readonly totals: CaptureTotals;
  /** Frames captured so far that are not replies to our probes, counted by reason. */
  readonly rejects: Readonly<Record<string, number>>;
  readonly isAlive: boolean;
  readonly readUntil: number;
  start(receiver: FrameReceiver): void;
  close(): void;
}

/**
 * Reads the frames of one survey; both methods take a frame's capture time in microseconds since the Unix epoch,
 * and return whether the frame answers a probe of the survey.
 */
export interface FrameReceiver {
  receive(timestamp: number): boolean;
  /** Called for frames that no survey has recognised: answers from another port or address than the one probed. */
  receiveFromElsewhere(timestamp: number): boolean;
}

/**
 * The outcome of a probe that the main thread sends itself: the result of a connection, or the answer of a
 * neighbour.
 */
export interface DirectReply {
  /** Our address and port; port 0 if they are not known. */
  readonly source: Endpoint;
  readonly target: Endpoint;
  /** The MAC address of a neighbour. */
  readonly data?: Uint8Array;
}

/** A validated reply: the position that it answers, and its content. */
export interface Reply {
  readonly position: number;
  /** Code of its class in the survey's `ProbeSet`. */
  readonly code: number;
  readonly isSuccess: boolean;
  /** The packet, or the outcome that takes its place. */
  readonly content: Dissection | DirectReply;
  /** Microseconds since its probe was sent, if that is known; else −1. */
  readonly roundTrip: number;
}

/** Called with an outcome: the index of its class in the probe's list. @param roundTrip microseconds, or −1 */
export type ReceiveOutcome = (
  position: number,
  place: number,
  reply: DirectReply,
  roundTrip: number,
) => void;

/** Outcome of a reply: it is the first or highest-ranked so far for its position, a duplicate, or too late. */
export const OUTCOME = { NEW: 0, DUPLICATE: 1, LATE: 2 } as const;

/** Records the replies of one shard. */
export interface ReplyRecorder {
  /** The cookies of a probe of the survey, by its index, under the key of the shard's lease. */
  cookiesOf(probe: number): CookieMac | undefined;
  /**
   * @param timestamp capture time, microseconds since the Unix epoch
   * @returns an `OUTCOME`
   */
  onReply(reply: Reply, timestamp: number): number;
}

/** The network I/O of an agent for one survey: sender and captures. */
export interface NetworkIo {
  /** Our source ports. */
  readonly ports: PortRange;
  readonly sender: Sender;
  /** One per interface; none if the main thread sends the probes itself. */
  readonly captures: readonly Capture[];
  /** Starts to report outcomes, if the main thread sends the probes itself. */
  readonly direct?: { start(receive: ReceiveOutcome): void } | undefined;
  /** Shown to people before anything is sent. */
  readonly notes: readonly string[];
  /** The agent's own blocklist rules; undefined, with an empty hash, if it has none. */
  readonly rules: Uint8Array | undefined;
  readonly rulesHash: string;
  /** False once an interface or an address is gone: then replies cannot be received. */
  isUp(): boolean;
}

/** @param space the canonical bytes of the plan's space, in shared memory if threads shall use them in place */
export type OpenNetworkIo = (survey: Survey, plan: Plan, space: Uint8Array) => Promise<NetworkIo>;
