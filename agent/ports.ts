/** What the parts of an agent are to each other. The story in `agent.ts` wires them. */
import type { LinkLayer } from '../shared/packet/dissect.js';
import type { Origin } from '../shared/probe/probe.js';
import type { Plan } from '../shared/survey/plan.js';
import type { Survey } from '../shared/survey/survey.js';

/**
 * A way out for frames. The sender writes frame n of a batch in place, its IP header at
 * `frameAt(n)`, and then asks for the batch to be sent.
 */
export interface Wire {
  /** For people, logs and manifests: `packet eth0`, `raw-ip lo`. */
  readonly name: string;
  readonly view: DataView;
  /** Frames per call, at most. */
  readonly batch: number;
  frameAt(slot: number): number;
  /** Sends frames [from, to) and returns how many the kernel took; where 0, `errno` says why. */
  send(from: number, to: number): number;
  readonly errno: number;
  close(): void;
}

/** One shard, or what is left of it, being sent. */
export interface Sending {
  /** Every position before it has left, was excluded or is lost. */
  readonly sent: number;
  /** Positions that the kernel refused for good, and that the guard held back. */
  readonly lost: number;
  readonly excluded: number;
  /** Nothing more of it will leave: it is sent to its end, or was abandoned. */
  readonly hasEnded: boolean;
  /** Stops at the next batch. */
  abandon(): void;
  /** Its place may be used for another; only once it has ended. */
  forget(): void;
}

/** Sends shards in the order given, at the rate granted. */
export interface Sender {
  send(from: number, to: number): Sending;
  /** Packets per second until an instant of the monotonic clock; replaces the grant before. */
  grant(rate: number, until: number): void;
  /** Probes and refusals so far. */
  readonly totals: { readonly sent: number; readonly errors: number };
  readonly wire: string;
  close(): Promise<void>;
}

/** Frames that pass the filter, one after the other in the same buffer. */
export interface Capture {
  readonly link: LinkLayer;
  /** The buffer that every frame is delivered in. */
  readonly view: DataView;
  readonly totals: { readonly received: number; readonly dropped: number };
  /** @param receive gets the octets captured and the time stamp in microseconds */
  start(receive: (octets: number, timestamp: number) => void): void;
  close(): void;
}

/** Where an agent stands for one survey: what it sends from and listens with. */
export interface Station {
  readonly origin: Origin;
  readonly sender: Sender;
  readonly capture: Capture;
}

export type OpenStation = (survey: Survey, plan: Plan) => Promise<Station>;
