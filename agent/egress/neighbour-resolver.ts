/**
 * Resolves neighbours on the link by ARP (RFC 826) and neighbour discovery (RFC 4861 §7.2). Requests count
 * towards the rate. The kernel is not used for this, because its table holds only a thousand entries and
 * silently drops the rest. A neighbour that does not answer three requests within 1.2 s is unreachable.
 */
import type { Endpoint, Words } from '../../shared/net/endpoint.js';
import { type Found, type Neighbours, NOT_SENT, RESOLVING, UNREACHABLE } from '../interfaces.js';
import { NeighbourRequests, type NeighbourRequestsSetup } from './neighbour-requests.js';

/** Interval between requests, and their number. */
const AGAIN_MILLIS = 400;
const REQUESTS_MAX = 3;
/**
 * A target is given up after the kernel has refused this many requests. That takes 4 s, so that a flapping
 * link has time to recover. The target counts as `NOT_SENT` if all of its requests were refused.
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

export class NeighbourResolver implements Neighbours {
  readonly #requests: NeighbourRequests;
  readonly #entries = new Map<string, Entry>();
  /** Entries being resolved, in the order of their last requests. */
  #resolving: Entry[] = [];

  /** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
  constructor(setup: NeighbourRequestsSetup) {
    this.#requests = new NeighbourRequests(setup);
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
    // The entry has been evicted, so this lookup requests the MAC address again.
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
    this.#requests.close();
  }

  /** A request that the kernel refused for lack of space is repeated like one without an answer. */
  #send(entry: Entry, now: number): boolean {
    entry.requestedAt = now;
    const isTaken = this.#requests.send(entry.words);
    if (isTaken) entry.requests++;
    else entry.refusals++;
    return isTaken;
  }

  #readAnswers(now: number): void {
    for (let n = 0; n < ANSWERS_MAX; n++) {
      const answer = this.#requests.read();
      if (answer === undefined) return;
      const entry = this.#entries.get(keyOf(...answer.words));
      if (entry === undefined) continue; // no request was sent
      entry.mac = answer.mac;
      entry.until = now + KNOWN_MILLIS;
    }
  }

  /** Evicts the oldest entry that is not being resolved; if all checked entries are being resolved, evicts none. */
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
