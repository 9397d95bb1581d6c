/**
 * Keeps the unsent positions of jobs, each with its reason, until they are taken. If written frames are
 * withdrawn, the entries of their batch are dropped.
 */
import { UNSENT_FIRST } from '../../shared/survey/unsent.js';

/** Unsent positions of one job and, in parallel, their `UNSENT` codes. */
export interface UnsentMessage {
  readonly slot: number;
  readonly positions: Float64Array;
  readonly codes: Uint8Array;
}

export class UnsentLog {
  readonly #slots: number[] = [];
  readonly #positions: number[] = [];
  readonly #codes: number[] = [];

  get length(): number {
    return this.#codes.length;
  }

  /** @param code an `UNSENT` code */
  note(slot: number, position: number, code: number): void {
    this.#slots.push(slot);
    this.#positions.push(position);
    this.#codes.push(code);
  }

  /** Drops entries. */
  drop(isOf: (slot: number, position: number) => boolean): void {
    let kept = 0;
    for (let i = 0; i < this.#codes.length; i++) {
      const [slot, position] = [this.#slots[i] as number, this.#positions[i] as number];
      if (isOf(slot, position)) continue;
      this.#slots[kept] = slot;
      this.#positions[kept] = position;
      this.#codes[kept++] = this.#codes[i] as number;
    }
    this.#cut(kept);
  }

  /** Takes all entries, one message per job, and empties the log. */
  take(): readonly UnsentMessage[] {
    const bySlot = new Map<number, number[]>();
    for (const [i, slot] of this.#slots.entries()) {
      const indices = bySlot.get(slot);
      if (indices === undefined) bySlot.set(slot, [i]);
      else indices.push(i);
    }
    const messages = [...bySlot].map(([slot, indices]) => ({
      slot,
      positions: Float64Array.from(indices, (i) => this.#positions[i] as number),
      codes: Uint8Array.from(indices, (i) => this.#codes[i] ?? UNSENT_FIRST),
    }));
    this.#cut(0);
    return messages;
  }

  #cut(length: number): void {
    this.#slots.length = length;
    this.#positions.length = length;
    this.#codes.length = length;
  }
}
