/** What the parts of an agent are to each other. The story in `agent.ts` wires them. */
import type { IoStats } from '../shared/bus/heartbeat.js';
import type { Endpoint } from '../shared/net/endpoint.js';
import type { Dissection, LinkLayer } from '../shared/packet/dissect.js';
import type { MacAddress } from '../shared/packet/ethernet.js';
import type { TcpOptions } from '../shared/packet/tcp.js';
import type { Plan } from '../shared/survey/plan.js';
import type { AddressLists } from '../shared/survey/policy/address-lists.js';
import type { VersionSpan } from '../shared/survey/policy/exclusions.js';
import type { Survey } from '../shared/survey/survey.js';

/**
 * A way out for packets of one family and length. The sender writes packets in place into frames
 * that the kernel reads, and then asks for a run of them to be sent. Frames are used in turn; a
 * frame's place is counted from the first one that has not left.
 */
export interface FrameSender {
  /** For people, logs and manifests: `af-xdp eth0`, `raw-ip lo`. */
  readonly name: string;
  /** The memory that all frames lie in. */
  readonly view: DataView;
  /** Frames there are. */
  readonly frames: number;
  /** Where the IP header of frame n starts, 0 ≤ n < `frames`; the link header is in place. */
  packetAt(frame: number): number;
  /** How many places may be written now; fewer, also none, while the kernel still holds frames. */
  room(): number;
  /** Writes where the packets at places [0, count) start; count ≤ `room()`. */
  locate(count: number, packetAt: Uint32Array): void;
  /**
   * Sends the frames at places [0, count) and returns how many the kernel took, in their order;
   * those that it did not take are at places [0, count − taken) then, and `errno` says why.
   */
  send(count: number): number;
  /** Leaves out the frame at place 0, which the kernel refuses for good. */
  dropFirst(): void;
  /** Forgets all that was written and not taken. */
  discard(): void;
  readonly errno: number;
  close(): void;
}

/** What leads to one next hop on Ethernet. */
export interface NextHop {
  readonly source: MacAddress;
  /** The next hop's address on the link; absent where targets are neighbours of their own. */
  readonly gateway: MacAddress | undefined;
  readonly vlan?: number | undefined;
}

/** What one way out leads to, of the one family it speaks; plain data. */
export type Destinations =
  | { readonly family: 4; readonly from: Float64Array; readonly to: Float64Array }
  /** The array of `Ranges6`. */
  | { readonly family: 6; readonly words: Uint32Array };

/** System calls that the kernel refused, by the name of the error. */
export type SendErrors = Readonly<Record<string, number>>;

/** A position that was passed by without a probe. */
export interface Unsent {
  readonly position: number;
  /** An `UNSENT` code. */
  readonly code: number;
}

/** The address of a neighbour is being asked for; nobody on the link has it; or nobody could be asked. */
export const RESOLVING = 'asking';
export const UNREACHABLE = 'nobody';
export const NOT_SENT = 'unasked';

export type Found = Uint8Array | typeof RESOLVING | typeof UNREACHABLE | typeof NOT_SENT;

/** Who is who on a link of our own: Ethernet addresses of neighbours, asked for as they are needed. */
export interface Neighbours {
  /** Asks for a target's address, unless it is known or asked for. @returns whether a packet left */
  request(target: Endpoint, now: number): boolean;
  lookup(target: Endpoint, now: number): Found;
  /** Hears answers, and asks again where that is due, so often at most. @returns packets sent */
  poll(now: number, most: number): number;
  close(): void;
}

/** One shard, or what is left of it, being sent. */
export interface Sending {
  /** Every position before it has left, or was passed by. */
  readonly sentUpTo: number;
  /** What was passed by since the last call; of all before `sent`, where that was read first. */
  takeUnsent(): readonly Unsent[];
  /** Which exclusions were held against from where on; ascending. */
  readonly versionSpans: readonly VersionSpan[];
  /** Nothing more of it will leave: it is sent to its end, or was abandoned. */
  readonly hasEnded: boolean;
  /** Stops at the next batch. */
  abandon(): void;
  /** Its place may be used for another; only once it has ended. What it says stays as it is. */
  releaseSlot(): void;
}

/** Sends shards in the order given, at the rate granted. */
export interface Sender {
  send(from: number, to: number): Sending;
  /**
   * Packets per second until an instant of the monotonic clock; replaces the grant before. Nothing
   * leaves before the exclusions of this version are held against.
   */
  grant(rate: number, until: number, exclusionsVersion: number): void;
  /** Holds back targets on a list, beside those it always holds back. */
  setExclusions(addresses: AddressLists, version: number): void;
  /** The version of the exclusions that every probe from now on is held against. */
  readonly exclusionsVersion: number;
  /** Probes and refusals so far. */
  readonly totals: { readonly probesSent: number; readonly sendErrors: SendErrors };
  /** Names of the wires, for people. */
  readonly transmit: string;
  close(): Promise<void>;
}

/** Frames that passed the filter, and those dropped. */
export type CaptureTotals = Pick<IoStats, 'framesReceived' | 'framesDropped' | 'interfaceDropped'>;

/** What frames are read of. */
export interface SourceSetup {
  readonly device: string;
  /** An expression of pcap-filter(7) for packets from their IP header on. */
  readonly filter: string;
  /** Only frames with this VLAN tag; undefined for any. */
  readonly vlan?: number | undefined;
}

/** Gets a frame at [start, end) of the source's view, and when it came in microseconds since the Unix epoch. */
export type Receive = (start: number, end: number, timestamp: number) => void;

/** The frames of one interface, each read in place, one after the other. */
export interface FrameSource {
  readonly link: LinkLayer;
  /** What every frame is delivered in. */
  readonly view: DataView;
  /** Since it was opened. */
  readonly totals: CaptureTotals;
  /** False once it can hear nothing any more. */
  readonly isAlive: boolean;
  /** Our monotonic clock: frames that came before have been delivered. */
  readonly readUntil: number;
  /** Replaces the filter; what waits to be read has passed the one before. */
  setFilter(filter: string): void;
  start(receive: Receive): void;
  close(): void;
}

/** A survey's share of what is heard on one interface. */
export interface Capture {
  /** What every frame is read with; it holds until the next one. */
  readonly dissection: Dissection;
  /** Since it was opened, of all surveys that share the interface. */
  readonly totals: CaptureTotals;
  /** Frames that are no replies of ours, by reason, likewise. */
  readonly rejects: Readonly<Record<string, number>>;
  readonly isAlive: boolean;
  readonly readUntil: number;
  /** @param receive gets a frame's time stamp, microseconds; returns whether it answers this survey */
  start(receive: (timestamp: number) => boolean): void;
  close(): void;
}

/** A reply that is ours: where its target stands in the order, and what it says. */
export interface Reply {
  readonly position: number;
  readonly shard: number;
  /** A `CLASSIFICATION`. */
  readonly code: number;
  readonly dissection: Dissection;
  readonly options: TcpOptions;
  /** Microseconds since its probe left, where the reply echoes our clock; −1 where it does not. */
  readonly roundTrip: number;
}

/** Where an agent stands for one survey: what it sends from and listens with. */
export interface NetworkIo {
  readonly sender: Sender;
  /** One per interface. */
  readonly captures: readonly Capture[];
  /** What people should know before anything is sent. */
  readonly notes: readonly string[];
  /** By what this agent holds back targets itself; undefined, and no hash, where there is nothing. */
  readonly rules: Uint8Array | undefined;
  readonly rulesHash: string;
  /** Whether interfaces and addresses are as they were; if not, replies cannot be heard. */
  isUp(): boolean;
}

export type OpenNetworkIo = (survey: Survey, plan: Plan) => Promise<NetworkIo>;
