/**
 * The truth about every (address, port) of the simulated Internet: it follows from a seed, so that any survey
 * of it can be checked row by row, however large.
 */
import type { Words } from '../../../shared/net/endpoint.js';

/** Number of targets of each kind among 64. */
const SHARES = {
  open: 10,
  closed: 14,
  silent: 20,
  /** A router reports that it cannot deliver. */
  filtered: 6,
  /** Open, and replies after up to a second and a half. */
  slow: 3,
  /** Open, but on average half of the probes, or of their replies, are lost. */
  lossy: 2,
  /** Open, and replies three times. */
  repeating: 3,
  /** Replies with an acknowledgment number that matches no probe: not a TCP service. */
  lying: 2,
  /** Open, and resets right after its SYN-ACK. */
  resetting: 2,
  /** A firewall resets before the service replies. */
  wary: 2,
} as const;

export type Kind = keyof typeof SHARES;

const TABLE: readonly Kind[] = Object.entries(SHARES).flatMap(([kind, share]) =>
  new Array<Kind>(share).fill(kind as Kind),
);

/** A 32-bit hash of a target, by a seed. */
export function rollOf(seed: number, [w0, w1, w2, w3]: Words, port: number): number {
  let mixed = Math.imul(w0 ^ seed, 0x7feb352d) ^ Math.imul(w1, 0x846ca68b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) ^ Math.imul(w2 ^ port, 0x297a2d39);
  mixed = Math.imul(mixed ^ (mixed >>> 12) ^ w3, 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function kindOf(roll: number): Kind {
  return TABLE[roll % TABLE.length] as Kind;
}

/** The classification that a survey must report for a kind; `none`: no row, `any`: no row or `synack`. */
export function expectedOf(kind: Kind): 'synack' | 'rst' | 'icmp' | 'none' | 'any' {
  if (kind === 'closed') return 'rst';
  if (kind === 'filtered') return 'icmp';
  if (kind === 'silent' || kind === 'lying') return 'none';
  return kind === 'lossy' ? 'any' : 'synack';
}
