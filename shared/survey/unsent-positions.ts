/**
 * The unsent positions of a shard, stored by reason in its journal line: a compressed bitmap, so that a
 * lookup can say of each target whether it was probed.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { isUnsent, UNSENT_NAMES, type UnsentName, unsentName } from './unsent.js';

/**
 * Unsent positions by reason: base64 of the deflated bits; bit n % 8 of octet n / 8 is the n-th position of
 * the shard.
 */
export type UnsentPositions = Partial<Record<UnsentName, string>>;

/** @param codes one per position, by offset within the shard; values that are no `UNSENT` codes are ignored */
export function encodeUnsent(codes: Uint8Array): UnsentPositions | undefined {
  const bits = new Map<UnsentName, Uint8Array>();
  for (let offset = 0; offset < codes.length; offset++) {
    const code = codes[offset] as number;
    if (!isUnsent(code)) continue;
    const name = unsentName(code);
    const octets = bits.get(name) ?? new Uint8Array(Math.ceil(codes.length / 8));
    octets[offset >>> 3] = (octets[offset >>> 3] as number) | (1 << (offset & 7));
    bits.set(name, octets);
  }
  if (bits.size === 0) return undefined;
  const entries = [...bits].map(([name, octets]) => [
    name,
    deflateRawSync(octets).toString('base64'),
  ]);
  return Object.fromEntries(entries) as UnsentPositions;
}

/** The reason why a position was not sent; undefined if it was. @param length positions of the shard */
export function unsentAt(
  unsent: UnsentPositions | undefined,
  offset: number,
  length: number,
): UnsentName | undefined {
  return UNSENT_NAMES.find((name) => {
    const octets = decode(unsent?.[name], length);
    return octets !== undefined && ((octets[offset >>> 3] ?? 0) & (1 << (offset & 7))) !== 0;
  });
}

/** The number of unsent positions, by reason. */
export function countUnsent(
  unsent: UnsentPositions | undefined,
  length: number,
): Record<UnsentName, number> {
  const counts = UNSENT_NAMES.map((name) => {
    let count = 0;
    for (let octet of decode(unsent?.[name], length) ?? []) {
      for (; octet !== 0; octet &= octet - 1) count++;
    }
    return [name, count] as const;
  });
  return Object.fromEntries(counts) as Record<UnsentName, number>;
}

/** Decodes the bits of one reason; undefined for malformed text, and for more positions than the shard can have. */
function decode(text: string | undefined, length: number): Uint8Array | undefined {
  if (text === undefined) return undefined;
  try {
    const most = Math.ceil(length / 8);
    return inflateRawSync(Buffer.from(text, 'base64'), { maxOutputLength: most });
  } catch {
    return undefined;
  }
}
