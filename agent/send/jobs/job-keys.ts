/** The keys of send jobs at one sender: all probes of a batch are made with the key of one job. */
import type { Egress } from '../../egress/egress.js';
import type { SendJob } from './send-job.js';

export class JobKeys {
  readonly #egresses: readonly Egress[];
  /** By the slot of the job; each job has a key object of its own. */
  readonly #keys: Uint8Array[] = [];
  #current: Uint8Array | undefined;

  constructor(egresses: readonly Egress[]) {
    this.#egresses = egresses;
  }

  add({ slot, key }: SendJob): void {
    this.#keys[slot] = key;
  }

  /** True if the key in use is that of a job. */
  isCurrent(slot: number): boolean {
    return this.#keys[slot] === this.#current;
  }

  /** Makes the next batches with the key of a job. */
  use(slot: number): void {
    const key = this.#keys[slot];
    if (key === undefined || key === this.#current) return;
    this.#current = key;
    for (const egress of this.#egresses) egress.useKey(key);
  }
}
