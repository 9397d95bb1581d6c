/**
 * Canaries: addresses of our own among the targets of a survey, whose answers nobody can guess. Whether a port of one
 * is open follows from a secret, by HMAC-SHA256 (RFC 2104), and changes every day. An agent that makes answers up is
 * wrong about half of them.
 */
import { createHmac } from 'node:crypto';
import type { Words } from '../net/endpoint.js';
import { formatWords, mappedWords, type Prefix6, parsePrefix6 } from '../net/ipv6.js';
import { parsePrefix } from '../net/prefix.js';

const DAY_MILLIS = 86_400_000;
const IPV4_BITS = 32;
const MAPPED_BITS = 96;

/** A probe that reached a canary, as its responder logs it. */
export interface CanaryProbe {
  /** ISO 8601. */
  readonly at: string;
  /** The sender of the probe: address and port. */
  readonly saddr: string;
  readonly sport: number;
  /** The canary. */
  readonly daddr: string;
  readonly dport: number;
  /** The TCP sequence number, which is the cookie of the probe. */
  readonly seqnum: number;
  readonly answer: 'synack' | 'rst';
}

export class Canaries {
  readonly #secret: Uint8Array;

  /** @param secret 32 octets */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** @param day days since the Unix epoch */
  isOpen(address: Words, port: number, day: number): boolean {
    const text = `${formatWords(address)} ${port} ${day}`;
    const [first = 0] = createHmac('sha256', this.#secret).update(text).digest();
    return (first & 1) === 1;
  }
}

/** @param millis since the Unix epoch @returns whole days, UTC */
export function dayOf(millis: number): number {
  return Math.floor(millis / DAY_MILLIS);
}

/** Reads an IPv4 or IPv6 prefix; an IPv4 one becomes a mapped one. @throws Fault BAD_OPTION */
export function parseCanaryPrefix(text: string): Prefix6 {
  if (text.includes(':')) return parsePrefix6(text);
  const { from, to } = parsePrefix(text);
  const length = MAPPED_BITS + IPV4_BITS - Math.log2(to - from);
  return { words: mappedWords(from), length };
}
