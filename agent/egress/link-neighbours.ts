/**
 * Resolves neighbours on the link by ARP (RFC 826) and neighbour discovery (RFC 4861 §7.2), within the rate,
 * instead of leaving it to the kernel, whose table holds a thousand entries and silently drops the rest. A
 * neighbour that does not answer three requests within 1.2 s is unreachable.
 */
import type { Endpoint, Words } from '../../shared/net/endpoint.js';
import { ARP_OCTETS, layOutArp, readArp, setArpTarget } from '../../shared/packet/arp.js';
import { ETHERNET_OCTETS, ethernetOctets, type MacAddress } from '../../shared/packet/ethernet.js';
import { IPV6_OCTETS } from '../../shared/packet/ipv6.js';
import {
  layOutSolicitation,
  readAdvertisement,
  SOLICITATION_OCTETS,
  setSolicitationTarget,
} from '../../shared/packet/neighbour-discovery.js';
import type { Family } from '../../shared/probe/probe.js';
import {
  type Found,
  type Neighbours,
  type NextHop,
  NOT_SENT,
  RESOLVING,
  UNREACHABLE,
} from '../interfaces.js';
import { closeSocket, receiveOne, sendOne } from '../system/libc.js';
import { openNeighbourSocket } from './neighbour-socket.js';

const MINIMUM_OCTETS = 60;

/** Interval between requests, and their number. */
const AGAIN_MILLIS = 400;
const REQUESTS_MAX = 3;
/**
 * Refusals by the kernel after which a target is given up: 4 s, so that a flapping link may recover. The
 * target counts as `NOT_SENT` if all of its requests were refused.
 */
const REFUSALS_MAX = 10;
/** Lifetimes of positive and negative entries. */
const KNOWN_MILLIS = 60_000;
const UNREACHABLE_MILLIS = 30_000;
/** Entries in the table. */
const ENTRIES_MAX = 262_144;
/** Maximum number of entries checked to find one to evict: those being resolved are not evicted. */
const EVICT_CHECKS = 64;
/** Answers read per call. */
const ANSWERS_MAX = 512;

export interface LinkNeighboursSetup {
  readonly device: string;
  readonly family: Family;
  readonly nextHop: NextHop;
  /** Our addresses; requests are sent from the first one. */
  readonly sources: readonly Words[];
}

interface Entry {
  readonly words: Words;
  requests: number;
  /** Requests that the kernel refused. */
  refusals: number;
  requestedAt: number;
  /** Expiry of `mac`, or of the negative entry; 0 while it is being resolved. */
  until: number;
  mac: Uint8Array | undefined;
}

export class LinkNeighbours implements Neighbours {
  readonly #family: Family;
  readonly #fd: number;
  readonly #request: Uint8Array;
  readonly #view: DataView;
  readonly #linkOctets: number;
  readonly #answer = new Uint8Array(256);
  readonly #answerView = new DataView(this.#answer.buffer);
  readonly #entries = new Map<string, Entry>();
  /** Entries being resolved, in the order of their last requests. */
  #resolving: Entry[] = [];

  /** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
  constructor({ device, family, nextHop, sources }: LinkNeighboursSetup) {
    this.#family = family;
    this.#linkOctets = ethernetOctets(nextHop.vlan);
    const octets = family === 4 ? ARP_OCTETS : IPV6_OCTETS + SOLICITATION_OCTETS;
    this.#request = new Uint8Array(Math.max(MINIMUM_OCTETS, this.#linkOctets + octets));
    this.#view = new DataView(this.#request.buffer);
    const source = sources[0] ?? [0, 0, 0, 0];
    if (family === 4) layOutArp(this.#view, nextHop, source[3]);
    else layOutSolicitation(this.#view, nextHop, source);
    this.#fd = openNeighbourSocket(device, family);
  }

  request(target: Endpoint, now: number): boolean {
    const key = keyOf(target.w0, target.w1, target.w2, target.w3);
    const known = this.#entries.get(key);
    if (known !== undefined && (known.until === 0 || now < known.until)) return false;
    const words: Words = [target.w0, target.w1, target.w2, target.w3];
    const entry: Entry = {
      words,
      requests: 0,
      refusals: 0,
      requestedAt: now,
      until: 0,
      mac: undefined,
    };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > ENTRIES_MAX) this.#evictOne();
    this.#resolving.push(entry);
    return this.#send(entry, now);
  }

  lookup(target: Endpoint, now: number): Found {
    const entry = this.#entries.get(keyOf(target.w0, target.w1, target.w2, target.w3));
    if (entry?.mac !== undefined) return entry.mac;
    // The entry was evicted: this lookup requests it again.
    if (entry === undefined) this.request(target, now);
    if (entry === undefined || entry.until === 0) return RESOLVING;
    return entry.requests > 0 ? UNREACHABLE : NOT_SENT;
  }

  poll(now: number, most: number): number {
    this.#readAnswers(now);
    let sent = 0;
    let done = 0;
    for (const entry of this.#resolving) {
      if (sent >= most || now - entry.requestedAt < AGAIN_MILLIS) break; // the others are younger
      done++;
      if (entry.until !== 0) continue; // answered meanwhile
      if (entry.requests >= REQUESTS_MAX || entry.refusals >= REFUSALS_MAX) {
        entry.until = now + UNREACHABLE_MILLIS;
        continue;
      }
      if (this.#send(entry, now)) sent++;
      entry.requestedAt = now;
      this.#resolving.push(entry);
    }
    if (done > 0) this.#resolving = this.#resolving.slice(done);
    return sent;
  }

  close(): void {
    closeSocket(this.#fd);
  }

  /** A request that the kernel refused for lack of space is repeated like one without an answer. */
  #send(entry: Entry, now: number): boolean {
    const at = this.#linkOctets;
    if (this.#family === 4) setArpTarget(this.#view, at, entry.words[3]);
    else setSolicitationTarget(this.#view, at, entry.words);
    entry.requestedAt = now;
    const isTaken = sendOne(this.#fd, this.#request);
    if (isTaken) entry.requests++;
    else entry.refusals++;
    return isTaken;
  }

  #readAnswers(now: number): void {
    for (let n = 0; n < ANSWERS_MAX; n++) {
      const octets = receiveOne(this.#fd, this.#answer);
      if (octets < 0) return;
      const answer = this.#read(octets);
      const entry = answer && this.#entries.get(answer.key);
      if (entry === undefined || answer === undefined) continue; // no request was sent
      entry.mac = answer.mac;
      entry.until = now + KNOWN_MILLIS;
    }
  }

  #read(octets: number): { key: string; mac: MacAddress } | undefined {
    if (this.#family === 6) {
      const found = readAdvertisement(this.#answerView, octets);
      return found && { key: keyOf(...found.words), mac: found.mac };
    }
    const at = ETHERNET_OCTETS;
    const found = octets < at + ARP_OCTETS ? undefined : readArp(this.#answerView, at);
    return found && { key: keyOf(0, 0, 0xffff, found.address), mac: found.mac };
  }

  /** Evicts the oldest entry that is not being resolved; if all checked entries are, none is evicted. */
  #evictOne(): void {
    let looks = EVICT_CHECKS;
    for (const [key, { until }] of this.#entries) {
      if (until !== 0) {
        this.#entries.delete(key);
        return;
      }
      if (--looks === 0) return;
    }
  }
}

function keyOf(w0: number, w1: number, w2: number, w3: number): string {
  return `${w0},${w1},${w2},${w3}`;
}
