/** Splits spans of addresses into the fewest prefixes. */
import type { Words } from './endpoint.js';
import { formatWords, isMapped } from './ipv6.js';

export interface Cidr {
  readonly from: bigint;
  readonly length: number;
}

/** @param bits the number of bits of an address: 32 or 128 */
export function* cidrsOf(from: bigint, to: bigint, bits: 32 | 128): Generator<Cidr> {
  for (let at = from; at < to; ) {
    let host = 0;
    // The largest block that starts here and lies within the span.
    while (
      host < bits &&
      at % (1n << BigInt(host + 1)) === 0n &&
      at + (1n << BigInt(host + 1)) <= to
    )
      host++;
    yield { from: at, length: bits - host };
    at += 1n << BigInt(host);
  }
}

/** Addresses of one family, as the fewest prefixes: `198.18.0.0/31`, `2001:db8::/127`. */
export function* cidrsOfAll(addresses: readonly Words[]): Generator<string> {
  const sorted = addresses.map(toBigInt).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  for (let i = 0; i < sorted.length; ) {
    const from = sorted[i] as bigint;
    let to = from;
    while (i < sorted.length && (sorted[i] as bigint) <= to) to = (sorted[i++] as bigint) + 1n;
    for (const cidr of cidrsOf(from, to, 128)) yield formatCidr(cidr);
  }
}

function formatCidr({ from, length }: Cidr): string {
  const word = (i: number) => Number((from >> BigInt(96 - 32 * i)) & 0xffffffffn);
  const words: Words = [word(0), word(1), word(2), word(3)];
  return `${formatWords(words)}/${isMapped(words) ? length - 96 : length}`;
}

function toBigInt(words: Words): bigint {
  return words.reduce((whole, word) => (whole << 32n) | BigInt(word), 0n);
}
