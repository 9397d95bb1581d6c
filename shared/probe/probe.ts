/**
 * The probe interface. One file per probe, one line in the registry; pure functions and data, so that the
 * coordinator (which checks options) and the agents (which send) share the file. A probe has two sides: the
 * packets that it sends, and the replies that it accepts. The verbs are ZMap's: make, validate, classify.
 */
import type { Endpoint, Words } from '../net/endpoint.js';
import type { Prefix6 } from '../net/ipv6.js';
import type { PortRange } from '../net/ports.js';
import type { Dissection } from '../packet/dissect.js';
import type { Cookies } from './cookies.js';
import type { ProbeBatch } from './probe-batch.js';

export type Family = 4 | 6;

/** Settings by name, as after the colon of `--probe NAME:option=value`. */
export type ProbeOptions = Readonly<Record<string, string>>;

/** The source addresses and ports of an agent. */
export interface Origin {
  /** Our source addresses, each once. */
  readonly sources: readonly Words[];
  /** The source window, if there is one: the prefix that contains all our IPv6 addresses. */
  readonly window?: Prefix6 | undefined;
  readonly ports: PortRange;
}

/** The state of a target, in nmap's words, as a reply or silence indicates it. */
export type TargetState =
  | 'open'
  | 'closed'
  | 'filtered'
  | 'unfiltered'
  | 'open|filtered'
  | 'up'
  | 'down'
  | 'down|filtered';

/**
 * Ranks of classes, by how much they say about a target. Of several replies of a target, the one of the
 * highest rank counts. A service outranks its host, and the host outranks a router on the way.
 */
export const RANK = { SERVICE: 3, HOST: 2, ROUTER: 1 } as const;

/** A class of replies; if ZMap has this class, too, the name is ZMap's. Within a probe each rank occurs once. */
export interface ReplyClass {
  readonly name: string;
  /** A `RANK`; the same in all probes that have a class of this name. */
  readonly rank: number;
  readonly state: TargetState;
  /** True if the reply is what the survey looks for: such replies always make rows. */
  readonly isSuccess: boolean;
}

/** One option of a probe. */
export interface ProbeOption {
  readonly name: string;
  readonly fallback: string;
  readonly about: string;
  /** @throws Fault BAD_OPTION with the reason; the caller adds the name of the option */
  check(value: string): void;
}

/** Writes the packets of one probe and family into frames. One object per egress. */
export interface PacketMaker {
  /** Writes the fields that are the same in all probes, for the packet at octet `at` of the memory. */
  layOut(at: number): void;
  /**
   * Writes the fields that differ between probes, for all probes of a batch. The cookies of the batch must
   * have been computed.
   * @param stamp our clock, microseconds modulo 2^32, for probes whose replies echo it
   */
  make(batch: ProbeBatch, sources: readonly Endpoint[], stamp: number): void;
}

/** An ICMP error about a probe: a router or the host does not let it through. */
export const ICMP_CLASS: ReplyClass = {
  name: 'icmp',
  rank: RANK.ROUTER,
  state: 'filtered',
  isSuccess: false,
};

/** Answers from other ports are looked for if a probe is sent to at most this many ports. */
export const OTHER_PORTS_MAX = 256;

/** Reads replies to one probe. */
export interface ReplyReader {
  /** True if a packet answers one of our probes; its `flow` is then the flow of that probe. */
  validate(reply: Dissection, cookies: Cookies): boolean;
  /** The class of a validated reply, as an index in the probe's `classes`. */
  classify(reply: Dissection): number;
  /**
   * For a packet that is not valid: true if it answers exactly one of our probes to its sender, except that
   * it comes from a port other than the probed one. The target of its `flow` is then set to that probe's
   * target. Absent if the transport has no such replies.
   */
  answersFromOtherPort?(reply: Dissection, cookies: Cookies): boolean;
  /** True if such answers are replies; else they are counted only. */
  readonly acceptsOtherPorts?: boolean;
  /**
   * The same for an answer from another address than the probed one. The address of the target of its `flow`
   * is then set to the probed one.
   */
  answersFromOtherAddress?(reply: Dissection, cookies: Cookies): boolean;
  readonly acceptsOtherAddresses?: boolean;
  /** Our clock as a validated reply echoes it, microseconds modulo 2^32; −1 if it does not. */
  echoedStamp(reply: Dissection): number;
}

/** The settings of a probe in one survey at one agent. */
export interface ProbeSetup {
  /** Complete options, as `parseOptions` returns them. */
  readonly options: ProbeOptions;
  /** Our source ports. */
  readonly ports: PortRange;
  /** The ports of this probe in the survey; those of pairs are not among them. */
  readonly targetPorts: readonly number[];
}

/** The description of a probe, which the coordinator reads. */
interface ProbeDescription {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Supported IP versions. */
  readonly families: readonly Family[];
  /** True if a target is an address and a port; else it is an address. */
  readonly hasPorts: boolean;
  /** The classes of replies; each has a rank of its own. */
  readonly classes: readonly ReplyClass[];
  /** The state of a target that does not reply. */
  readonly silence: TargetState;
  /** How many bits one must guess to forge a reply, or an ICMP error that quotes eight octets; as text for people. */
  readonly cookieBits: { readonly reply: string; readonly quote: string };
  readonly options: readonly ProbeOption[];
  /**
   * The options for a port, with those that depend on the port, such as a payload, filled in. Returns the
   * same object if none of them depends on the port.
   */
  optionsForPort?(port: number, options: ProbeOptions): ProbeOptions;
  /** Octets that one probe sends, IP headers included. */
  octets(family: Family, options: ProbeOptions): number;
  /** The effect of options that are a trade-off, in one line for the plan. */
  tradeOff?(options: ProbeOptions): string;
}

/** A probe that is a single packet, which we write ourselves; needs CAP_NET_RAW. */
export interface PacketProbe extends ProbeDescription {
  readonly kind: 'packet';
  /** True if the source port is chosen for each target; else it is part of the cookie, or there is none. */
  readonly choosesSourcePort: boolean;
  /** Protocol number of the transport. */
  protocol(family: Family): number;
  /**
   * A filter (pcap-filter(7), for packets from their IP header on) that passes all replies to our probes, and
   * little else.
   */
  captureFilter(origin: Origin): string;
  packets(view: DataView, family: Family, setup: ProbeSetup): PacketMaker;
  replies(setup: ProbeSetup): ReplyReader;
}

/** A probe that is a connection of the kernel; needs no capability. */
export interface ConnectionProbe extends ProbeDescription {
  readonly kind: 'connection';
}

/** A probe that is a request to a neighbour on the link; needs CAP_NET_RAW. */
export interface NeighbourProbe extends ProbeDescription {
  readonly kind: 'neighbour';
}

export type Probe = PacketProbe | ConnectionProbe | NeighbourProbe;
