/**
 * One order that several senders share, seen as one, until it is forgotten: then it says what it last
 * knew, whoever its place has gone to since.
 */
import { assert } from '../../shared/base/assert.js';
import type { ExclusionMark } from '../../shared/survey/exclusions.js';
import type { Sending, SendProgress } from '../ports.js';
import type { Desk } from './desk.js';

/** Where on the desks an order stands. */
interface Place {
  readonly slot: number;
  /** The first position of the order. */
  readonly from: number;
}

export class SharedSending implements Sending {
  readonly #marks: ExclusionMark[] = [];
  readonly #desks: readonly Desk[];
  readonly #slot: number;
  readonly #from: number;
  readonly #free: () => void;
  /** How far it came, once it is forgotten. */
  #last: SendProgress | undefined;

  constructor(desks: readonly Desk[], { slot, from }: Place, free: () => void) {
    this.#desks = desks;
    this.#slot = slot;
    this.#from = from;
    this.#free = free;
  }

  /** A sender that is ahead of others may have counted beyond `sent`: never more than there are. */
  get progress(): SendProgress {
    if (this.#last !== undefined) return this.#last;
    const all = this.#desks.map((desk) => desk.progressOf(this.#slot));
    const sent = Math.min(...all.map((each) => each.sent));
    const sum = (read: (each: SendProgress) => number) =>
      all.reduce((total, each) => total + read(each), 0);
    const lost = Math.min(
      sum((each) => each.lost),
      sent - this.#from,
    );
    const excluded = Math.min(
      sum((each) => each.excluded),
      sent - this.#from - lost,
    );
    return { sent, lost, excluded };
  }
  /** A version counts from where all senders that have begun hold against it. */
  get marks(): readonly ExclusionMark[] {
    if (this.#last !== undefined) return this.#marks;
    const begun = this.#desks
      .map((desk) => desk.marksOf(this.#slot))
      .filter((each) => each.length > 0);
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
    return this.#last !== undefined || this.#desks.every((desk) => desk.hasEnded(this.#slot));
  }
  abandon(): void {
    if (this.#last !== undefined) return;
    for (const desk of this.#desks) desk.abandon(this.#slot);
  }
  forget(): void {
    assert(
      this.#last === undefined && this.hasEnded,
      'a slot is freed once, when its order has ended',
    );
    this.#last = this.progress;
    this.#free();
  }
}
