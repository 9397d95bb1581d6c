/**
 * Findings from the validated ICMP errors of a survey: hosts that limit the rate of their errors, and networks that
 * report administrative prohibition. An error proves by its quote that it answers a probe of ours, so only routers
 * on the way and the host itself can cause a finding.
 */
import type { Endpoint, Target } from '../../shared/net/endpoint.js';
import { formatAddress } from '../../shared/net/ipv6.js';
import { probePort } from '../../shared/net/ports.js';
import type { Dissection } from '../../shared/packet/dissect.js';
import { isProhibited } from '../../shared/packet/icmp.js';
import { type IcmpFindings, networkAround } from '../../shared/survey/icmp-findings.js';
import { BurstTest } from './burst-test.js';

/**
 * Maximum number of hosts and networks examined at once; beyond it, the one examined for the longest time is
 * dropped.
 */
const EXAMINED_MAX = 16_384;
/** Findings of one kind that are remembered, so that each is reported once. */
const KNOWN_MAX = 65_536;
/**
 * The chance that one round of tests finds a limit where there is none; divided among the hosts and networks
 * examined.
 */
const CHANCE = 1e-5;
/**
 * All hosts and networks are tested again once the number of targets probed has grown by this factor, and at
 * least this time has passed.
 */
const TEST_GROWTH = 1.05;
const TEST_MILLIS = 500;

/** The part of a `SendingSequence` that the tests need. */
export interface PlacedSequence {
  readonly end: number;
  onCut: (from: number, places: number) => void;
}

/** A host, or a network of hosts, whose errors are tested. */
interface Examined {
  readonly test: BurstTest;
  /**
   * The network around it, of the size by which networks are slowed (IPv4 /24, IPv6 /48); the test is given
   * up once this network is slowed.
   */
  readonly network: string;
}

export class IcmpErrors {
  readonly #onProhibited: (address: Endpoint) => void;
  readonly #examined = new Map<string, Examined>();
  /** The port (and probe) for which each network is tested. */
  readonly #ports = new Map<string, number>();
  readonly #limited = new Set<string>();
  readonly #slowed = new Set<string>();
  readonly #unreported = { icmpLimited: [] as string[], slowedNetworks: [] as string[] };
  /** True once a host was forgotten: a host that seems new may then have had earlier errors. */
  #hasForgotten = false;
  readonly #sequence: PlacedSequence;
  /** The place in the sending sequence up to which all replies have been read. */
  #settledUpTo = 0;
  #testedUpTo = 0;
  #testedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param sequence our sending sequence
   * @param onProhibited called with an address of each network that is to be slowed
   */
  constructor(sequence: PlacedSequence, onProhibited: (address: Endpoint) => void) {
    this.#sequence = sequence;
    sequence.onCut = (from, places) => this.#cut(from, places);
    this.#onProhibited = onProhibited;
  }

  /** Records that all replies to the probes at places below `place` have been read. */
  settle(place: number): void {
    this.#settledUpTo = Math.max(this.#settledUpTo, place);
  }

  /**
   * Handles the first reply of a target, if that reply is an ICMP error.
   * @param place the target's place in our sending sequence
   */
  onError({ icmp, isIpv6, responder, flow }: Dissection, place: number): void {
    // Slows the network of the target, because only the target is proven; the sender's address may be
    // forged, and its network innocent.
    if (isProhibited(icmp, isIpv6)) this.#slow(flow.target);
    const host = formatAddress(responder);
    // Ignores errors about targets in slowed networks: probes to them are deferred, so these errors are
    // not spread at random.
    if (this.#slowed.has(networkAround(flow.target, 48))) {
      this.#examined.delete(host);
      return;
    }
    this.#examine(host, responder, place);
    const isRouter = host !== formatAddress(flow.target);
    const network = networkAround(flow.target, 64);
    if (isRouter) this.#examine(network, flow.target, place);
    else if (this.#isOfItsPort(network, flow.target)) this.#examine(network, responder, place);
  }

  /**
   * True for errors about the port for which a network is tested: the port of the network's first error. So
   * each host counts once, at a random place, and a single host cannot cause a finding about its network.
   */
  #isOfItsPort(network: string, { probe, port }: Target): boolean {
    const service = probePort(probe, port);
    const known = this.#ports.get(network);
    if (known === undefined && this.#ports.size < KNOWN_MAX) this.#ports.set(network, service);
    return (known ?? service) === service;
  }

  /** The findings since the last call, at most `most` of each kind. */
  take(most: number, now: number): IcmpFindings {
    this.#testAll(now);
    const { icmpLimited, slowedNetworks } = this.#unreported;
    return {
      icmpLimited: icmpLimited.splice(0, most),
      slowedNetworks: slowedNetworks.splice(0, most),
    };
  }

  #examine(name: string, address: Endpoint, place: number): void {
    if (this.#limited.has(name)) return;
    const known = this.#examined.get(name);
    if (known !== undefined) {
      known.test.add(place);
      return;
    }
    if (this.#examined.size >= EXAMINED_MAX) this.#forgetOne();
    const test = new BurstTest(this.#hasForgotten ? place : 0);
    if (!this.#hasForgotten) test.add(place);
    this.#examined.set(name, { test, network: networkAround(address, 48) });
  }

  #testAll(now: number): void {
    const { end } = this.#sequence;
    const isLast = this.#settledUpTo === end && this.#testedUpTo < end;
    const hasGrown = this.#settledUpTo >= this.#testedUpTo * TEST_GROWTH;
    if (!isLast && (!hasGrown || now - this.#testedAt < TEST_MILLIS)) return;
    this.#testedAt = now;
    this.#testedUpTo = this.#settledUpTo;
    for (const [name, examined] of this.#examined) this.#test(name, examined);
  }

  #test(name: string, { test, network }: Examined): void {
    if (this.#slowed.has(network)) this.#examined.delete(name);
    else if (test.chance(this.#settledUpTo) < CHANCE / this.#examined.size) this.#addLimited(name);
  }

  #addLimited(name: string): void {
    this.#examined.delete(name);
    if (this.#limited.size >= KNOWN_MAX) return;
    this.#limited.add(name);
    this.#unreported.icmpLimited.push(name);
  }

  #slow(address: Endpoint): void {
    const name = networkAround(address, 48);
    if (this.#slowed.has(name) || this.#slowed.size >= KNOWN_MAX) return;
    this.#slowed.add(name);
    this.#unreported.slowedNetworks.push(name);
    this.#onProhibited(address);
  }

  #cut(from: number, places: number): void {
    for (const { test } of this.#examined.values()) test.cut(from, places);
    if (this.#settledUpTo > from) this.#settledUpTo = Math.max(from, this.#settledUpTo - places);
  }

  /** Starts all tests again: from now on, other targets are probed than before. */
  forgetAll(): void {
    this.#examined.clear();
    this.#hasForgotten = true;
  }

  #forgetOne(): void {
    this.#hasForgotten = true;
    for (const name of this.#examined.keys()) {
      this.#examined.delete(name);
      return;
    }
  }
}
