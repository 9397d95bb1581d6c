/**
 * Findings from the validated ICMP errors of a survey: hosts that limit the rate of their errors, and networks that
 * report administrative prohibition. An error proves by its quote that it answers a probe of ours, so only routers
 * on the way and the host itself can cause a finding.
 */
import type { Endpoint } from '../../shared/net/endpoint.js';
import { formatAddress } from '../../shared/net/ipv6.js';
import type { Dissection } from '../../shared/packet/dissect.js';
import { isProhibited } from '../../shared/packet/icmp.js';
import { type IcmpFindings, networkAround } from '../../shared/survey/icmp-findings.js';
import { BurstTest } from './burst-test.js';

/** Hosts and networks whose errors are examined at once; the one examined first goes. */
const EXAMINED_MAX = 16_384;
/** Findings of one kind that are remembered, so that each is reported once. */
const KNOWN_MAX = 65_536;
/** The chance of a finding by one test of a network without any limit; divided among those that are examined. */
const CHANCE = 1e-5;
/** All hosts are tested again when so many times more targets have been probed, and after at least this time. */
const TEST_GROWTH = 1.05;
const TEST_MILLIS = 500;

/** A host, or a network of hosts, whose errors are tested. */
interface Examined {
  readonly test: BurstTest;
  /** The network that would be slowed. */
  readonly network: string;
}

export class IcmpErrors {
  readonly #onProhibited: (address: Endpoint) => void;
  readonly #examined = new Map<string, Examined>();
  readonly #hosts = new Set<string>();
  readonly #limited = new Set<string>();
  readonly #slowed = new Set<string>();
  readonly #unreported = { icmpLimited: [] as string[], slowedNetworks: [] as string[] };
  /** True once a host was forgotten: of one that is new, earlier errors may have been. */
  #hasForgotten = false;
  /** Places in the order of probing that were given to shards, and those up to which replies have been read. */
  #opened = 0;
  #settledUpTo = 0;
  #testedUpTo = 0;
  #testedAt = Number.NEGATIVE_INFINITY;

  /** @param onProhibited called with an address of each network that is to be slowed */
  constructor(onProhibited: (address: Endpoint) => void) {
    this.#onProhibited = onProhibited;
  }

  /** A shard is about to be probed. @returns the place of its first position in our order of probing */
  open(positions: number): number {
    const first = this.#opened;
    this.#opened += positions;
    return first;
  }

  /** All replies to places below `place` have been read. */
  settle(place: number): void {
    this.#settledUpTo = Math.max(this.#settledUpTo, place);
  }

  /** The first reply of a target, if it is an ICMP error. @param place of the target in our order of probing */
  onError({ icmp, isIpv6, responder, flow }: Dissection, place: number): void {
    if (isProhibited(icmp, isIpv6)) {
      this.#slow(responder);
      this.#slow(flow.target);
    }
    // Probes to slowed networks are deferred, so their errors are not spread at random.
    if (this.#slowed.has(networkAround(flow.target, 48))) return;
    const host = formatAddress(responder);
    this.#examine(host, responder, place);
    const isRouter = host !== formatAddress(flow.target);
    if (isRouter) this.#examine(networkAround(flow.target, 64), flow.target, place);
    else if (this.#isNew(host)) this.#examine(networkAround(responder, 64), responder, place);
  }

  /** True once for each host: in the test of its network it counts once, so it alone makes no finding of it. */
  #isNew(host: string): boolean {
    if (this.#hosts.has(host) || this.#hosts.size >= KNOWN_MAX) return false;
    this.#hosts.add(host);
    return true;
  }

  /** The findings since the last call, at most so many of each kind. */
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
      if (known.test.isFull) this.#test(name, known);
      known.test.add(place);
      return;
    }
    if (this.#examined.size >= EXAMINED_MAX) this.#forgetOne();
    const test = new BurstTest(this.#hasForgotten ? place : 0);
    if (!this.#hasForgotten) test.add(place);
    this.#examined.set(name, { test, network: networkAround(address, 48) });
  }

  #testAll(now: number): void {
    const isLast = this.#settledUpTo === this.#opened && this.#testedUpTo < this.#opened;
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

  #forgetOne(): void {
    this.#hasForgotten = true;
    for (const name of this.#examined.keys()) {
      this.#examined.delete(name);
      return;
    }
  }
}
