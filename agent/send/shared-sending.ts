/**
 * One order that several senders share, seen as one, until it is forgotten: then it says what it last
 * knew, whoever its place has gone to since.
 */
import { assert } from '../../shared/base/assert.js';
import type { ExclusionMark } from '../../shared/survey/exclusions.js';
import type { Sending, Unsent } from '../ports.js';
import type { Desk } from './desk.js';

export interface SharedSendingParts {
  readonly desks: readonly Desk[];
  /** Its place on them. */
  readonly slot: number;
  /** Brings what the senders have passed by to `pass`, of all orders. */
  readonly hear: () => void;
  /** Gives the place back. */
  readonly free: () => void;
}

export class SharedSending implements Sending {
  readonly #parts: SharedSendingParts;
  readonly #marks: ExclusionMark[] = [];
  #unsent: Unsent[] = [];
  /** How far it came, once it is forgotten. */
  #last: number | undefined;

  constructor(parts: SharedSendingParts) {
    this.#parts = parts;
  }

  get sent(): number {
    const { desks, slot } = this.#parts;
    return this.#last ?? Math.min(...desks.map((desk) => desk.sentOf(slot)));
  }

  /** Takes note of a position that was passed by. */
  pass(unsent: Unsent): void {
    this.#unsent.push(unsent);
  }

  takeUnsent(): readonly Unsent[] {
    if (this.#last === undefined) this.#parts.hear();
    const taken = this.#unsent;
    this.#unsent = [];
    return taken;
  }

  /** A version counts from where all senders that have begun hold against it. */
  get marks(): readonly ExclusionMark[] {
    if (this.#last !== undefined) return this.#marks;
    const { desks, slot } = this.#parts;
    const begun = desks.map((desk) => desk.marksOf(slot)).filter((each) => each.length > 0);
    const versions = new Set(begun.flat().map(({ version }) => version));
    for (const version of [...versions].sort((a, b) => a - b)) {
      const firsts = begun.map((marks) => marks.find((mark) => mark.version >= version)?.from);
      const from = Math.max(...firsts.map((first) => first ?? Number.POSITIVE_INFINITY));
      const isNews = version > (this.#marks.at(-1)?.version ?? 0);
      if (isNews && from < Number.POSITIVE_INFINITY) this.#marks.push({ version, from });
    }
    return this.#marks;
  }

  get hasEnded(): boolean {
    const { desks, slot } = this.#parts;
    return this.#last !== undefined || desks.every((desk) => desk.hasEnded(slot));
  }

  abandon(): void {
    if (this.#last !== undefined) return;
    for (const desk of this.#parts.desks) desk.abandon(this.#parts.slot);
  }

  forget(): void {
    assert(
      this.#last === undefined && this.hasEnded,
      'a slot is freed once, when its order has ended',
    );
    this.#parts.hear();
    this.#last = this.sent;
    this.#parts.free();
  }
}
