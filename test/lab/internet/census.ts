/**
 * Statistics of a survey at its target network: probes, distinct targets, probes in the busiest second, and
 * the longest pause between two probes.
 */
const BIN_MILLIS = 10;
const BINS_PER_SECOND = 1000 / BIN_MILLIS;

export interface Counts {
  readonly probes: number;
  readonly targets: number;
  /** Probes in the busiest of the seconds that start at multiples of ten milliseconds. */
  readonly busiestSecond: number;
  readonly longestSilenceMillis: number;
}

export class Census {
  readonly #seen = new Set<number>();
  /** Probes in each of the last hundred bins. */
  readonly #bins = new Uint32Array(BINS_PER_SECOND);
  #bin = 0;
  #within = 0;
  #probes = 0;
  #busiest = 0;
  #silence = 0;
  #lastMillis = 0;

  /** @param address IPv4 @param micros time of arrival */
  count(address: number, port: number, micros: number): void {
    const millis = micros / 1000;
    this.#seen.add(address * 65536 + port);
    this.#moveTo(Math.floor(millis / BIN_MILLIS));
    const place = this.#bin % BINS_PER_SECOND;
    this.#bins[place] = (this.#bins[place] as number) + 1;
    this.#within++;
    this.#probes++;
    this.#busiest = Math.max(this.#busiest, this.#within);
    if (this.#lastMillis > 0) this.#silence = Math.max(this.#silence, millis - this.#lastMillis);
    this.#lastMillis = millis;
  }

  get counts(): Counts {
    return {
      probes: this.#probes,
      targets: this.#seen.size,
      busiestSecond: this.#busiest,
      longestSilenceMillis: Math.round(this.#silence),
    };
  }

  #moveTo(bin: number): void {
    if (bin <= this.#bin) return;
    const steps = Math.min(bin - this.#bin, BINS_PER_SECOND);
    for (let i = 1; i <= steps; i++) {
      const place = (bin - steps + i) % BINS_PER_SECOND;
      this.#within -= this.#bins[place] as number;
      this.#bins[place] = 0;
    }
    this.#bin = bin;
  }
}
