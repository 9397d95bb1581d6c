/**
 * The interface to random numbers. Keys and survey ids come from `systemRandom`; the simulation passes a
 * seeded generator instead, so that a run can be repeated byte by byte.
 */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** `length` octets. */
  bytes(length: number): Uint8Array;
}

export const systemRandom: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) };

/** Lower-case letters and digits without those that are easily confused. */
const ID_ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';

/** A short name for people to copy: `length` letters of a 31-letter alphabet. */
export function shortId(random: Random, length: number): string {
  let id = '';
  for (const byte of random.bytes(length)) id += ID_ALPHABET[byte % ID_ALPHABET.length];
  return id;
}
