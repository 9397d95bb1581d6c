/**
 * The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words. Sums
 * are additive, so the sum of a template's constant words is computed once, and each probe adds only the
 * words that change. RFC 1624 §3 instead updates an old checksum by differences; here there is no old value
 * to subtract.
 */

/**
 * The unfolded sum of `length` octets from `at`, added to `sum`. If the number of octets is odd, the last one
 * is the high half of a word (RFC 1071 §4.1). There must be at most 65,535 octets, so that the sum stays
 * below 2^32.
 */
export function sumWords(view: DataView, at: number, length: number, sum = 0): number {
  const end = at + length - 1;
  let i = at;
  let total = sum;
  for (; i < end; i += 2) total += view.getUint16(i);
  if (i === end) total += view.getUint8(i) << 8;
  return total;
}

/** The two 16-bit words of a 32-bit number, added. */
export function sumOf32(value: number): number {
  return (value >>> 16) + (value & 0xffff);
}

/** Folds a sum below 2^32 into 16 bits and complements it: the value of the checksum field. */
export function foldChecksum(sum: number): number {
  let folded = (sum >>> 16) + (sum & 0xffff);
  folded += folded >>> 16;
  return ~folded & 0xffff;
}
