/**
 * The registry of the metrics that `agent/metrics.ts` and `coordinator/metrics.ts` declare. Values are read
 * at each scrape, so a hot path only keeps plain numbers. Labels are bounded: never an address, a prefix or a
 * shard.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;
export type Reading = { readonly labels: Labels; readonly value: number };
/** A number, or one per set of labels. */
export type Read = () => number | readonly Reading[];

export class Metrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** A gauge, read at each scrape. */
  gauge(name: string, help: string, labels: readonly string[], read: Read): void {
    const labelNames = [...labels];
    const options = { name, help, labelNames, registers: [this.#registry] };
    new Gauge({
      ...options,
      collect() {
        this.reset();
        for (const { labels, value } of readingsOf(read())) this.set(labels, value);
      },
    });
  }

  /** A counter; the total so far is read at each scrape. */
  counter(name: string, help: string, labels: readonly string[], read: Read): void {
    const labelNames = [...labels];
    const options = { name, help, labelNames, registers: [this.#registry] };
    new Counter({
      ...options,
      collect() {
        this.reset();
        for (const { labels, value } of readingsOf(read())) this.inc(labels, value);
      },
    });
  }

  /** The text exposition format, for a scrape. */
  async expose(): Promise<{ contentType: string; text: string }> {
    const { contentType } = this.#registry;
    return { contentType, text: await this.#registry.metrics() };
  }
}

function readingsOf(read: number | readonly Reading[]): readonly Reading[] {
  return typeof read === 'number' ? [{ labels: {}, value: read }] : read;
}
