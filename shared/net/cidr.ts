/** Spans of addresses as the fewest prefixes that make them up. */

export interface Cidr {
  readonly from: bigint;
  readonly length: number;
}

/** @param bits of an address: 32 or 128 */
export function* cidrsOf(from: bigint, to: bigint, bits: 32 | 128): Generator<Cidr> {
  for (let at = from; at < to; ) {
    let host = 0;
    // The largest block that starts here and does not end behind.
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
