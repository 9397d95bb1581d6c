/**
 * What a probe is. One file per probe, one line in the catalogue; pure functions and data, so that
 * the coordinator (which checks options) and the agents (which send) share the same file.
 */
import type { Target } from '../net/target.js';
import type { Dissection } from '../packet/dissect.js';
import { Ipv4View } from '../packet/ipv4.js';
import { TcpView } from '../packet/tcp.js';
import type { CookieJar } from './cookies.js';

/** Numbers by name, as a survey file gives them under `probeOptions`. */
export type ProbeOptions = Readonly<Record<string, number>>;

/** The source ports an agent uses: [from, to). */
export interface SourcePorts {
  readonly from: number;
  readonly to: number;
}

/** Where an agent's probes come from. */
export interface Origin {
  /** IPv4, host order. */
  readonly address: number;
  readonly ports: SourcePorts;
}

/** One frame being written: views moved over a buffer, and the sums of its constant words. */
export class Frame {
  readonly ip: Ipv4View;
  readonly tcp: TcpView;
  ipSum = 0;
  tcpSum = 0;

  constructor(view: DataView) {
    this.ip = new Ipv4View(view);
    this.tcp = new TcpView(view);
  }

  /** Moves the views to the frame whose IP header starts at `at`. */
  moveTo(at: number, ipOctets: number): void {
    this.ip.at = at;
    this.tcp.at = at + ipOctets;
  }
}

/** The flow of one probe, refilled for each. Host order. */
export class Aim {
  source = 0;
  sourcePort = 0;
  address = 0;
  port = 0;
}

export interface Probe {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Which versions of IP it speaks. */
  readonly families: readonly (4 | 6)[];
  /** Octets of the IP header, where the transport header starts. */
  readonly ipOctets: number;
  /** Options with their defaults. @throws Fault BAD_OPTION naming an unknown or unusable one. */
  parseOptions(given: ProbeOptions): ProbeOptions;
  /** Octets of one probe, IP header included. */
  octets(options: ProbeOptions): number;
  /** A pcap filter that lets through all replies to probes from here, and little else. */
  captureFilter(origin: Origin): string;
  /** Writes what all probes share; called once per buffer. */
  prepare(frame: Frame, options: ProbeOptions): void;
  /** Writes what changes; `cookies` hold the cookie of this very flow. */
  aim(frame: Frame, aim: Aim, cookies: CookieJar): void;
  /** Whether a reply answers a probe of this survey; if so, `target` is what was probed. */
  recognise(reply: Dissection, cookies: CookieJar, target: Target): boolean;
  /** The `CLASSIFICATION` of a recognised reply. */
  classify(reply: Dissection): number;
}
