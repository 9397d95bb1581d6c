/**
 * The probe interface. One file per probe, one line in the registry; pure functions and data, so that the
 * coordinator (which checks options) and the agents (which send) share the file. The verbs are ZMap's:
 * prepare, make, validate, classify.
 */
import type { Endpoint, Words } from '../net/endpoint.js';
import type { PortRange } from '../net/ports.js';
import type { Dissection } from '../packet/dissect.js';
import { IPV4_OCTETS, Ipv4View } from '../packet/ipv4.js';
import { IPV6_OCTETS, Ipv6View } from '../packet/ipv6.js';
import { TcpView } from '../packet/tcp.js';
import type { CookieMac } from './cookies.js';
import type { ProbeBatch } from './probe-batch.js';

export type Family = 4 | 6;

/** Settings by name, as in the `probeOptions` of a survey file. */
export type ProbeOptions = Readonly<Record<string, string>>;

/** The source addresses and ports of an agent. */
export interface Origin {
  /** Our addresses of both families, IPv4 mapped. */
  readonly sources: readonly Words[];
  readonly ports: PortRange;
}

/** The frames being written: views moved over a buffer, and the sums of their constant words. */
export class Frame {
  readonly family: Family;
  readonly ipv4: Ipv4View;
  readonly ipv6: Ipv6View;
  readonly tcp: TcpView;
  ipSum = 0;
  tcpSum = 0;
  /** Offset of the TCP timestamp, from the start of its header; 0 if there is none. */
  stampAt = 0;
  /** Our clock when probes are sent: microseconds modulo 2^32. */
  stamp = 0;

  constructor(view: DataView, family: Family) {
    this.family = family;
    this.ipv4 = new Ipv4View(view);
    this.ipv6 = new Ipv6View(view);
    this.tcp = new TcpView(view);
  }

  /** Moves the views to the frame whose IP header starts at `at`. */
  moveTo(at: number): void {
    this.ipv4.at = at;
    this.ipv6.at = at;
    this.tcp.at = at + (this.family === 4 ? IPV4_OCTETS : IPV6_OCTETS);
  }
}

export interface Probe {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Supported IP versions. */
  readonly families: readonly Family[];
  /** Options with their defaults. @throws Fault BAD_OPTION naming an unknown or unusable one. */
  parseOptions(given: ProbeOptions): ProbeOptions;
  /** Octets of one probe, IP header included. */
  octets(family: Family, options: ProbeOptions): number;
  /** True if replies echo our clock, so that they reveal the round-trip time. */
  isStamped(options: ProbeOptions): boolean;
  /**
   * A filter (pcap-filter(7), for packets from their IP header on) that passes all replies to our probes, and
   * little else.
   */
  captureFilter(origin: Origin): string;
  /**
   * Writes the fields that are the same in all probes; called once per frame buffer, before any probe is
   * made.
   */
  prepare(frame: Frame, options: ProbeOptions): void;
  /** Writes the fields that differ, for each probe of a batch, whose cookies have been computed. */
  make(frame: Frame, batch: ProbeBatch, sources: readonly Endpoint[]): void;
  /** True if a frame answers a probe of ours: then its `flow` is that probe's. */
  validate(reply: Dissection, cookies: CookieMac): boolean;
  /** The `CLASSIFICATION` of a validated reply. */
  classify(reply: Dissection): number;
}
