/**
 * The sequence in which this agent probes positions of a survey, over all its shards: a position's place is the
 * number of positions that precede it. Shards are sent one after the other, as they are leased; the part of a shard
 * that is given up before it is sent has no place.
 */
import { assert } from '../../shared/base/assert.js';

/** The places of one shard: [first, first + length). */
export interface Stretch {
  readonly first: number;
  readonly length: number;
}

type OpenStretch = { -readonly [Field in keyof Stretch]: Stretch[Field] };

export class SendingSequence {
  /** Called when `places` places, starting at `from`, are given up; all places after these move down. */
  onCut: (from: number, places: number) => void = () => {};
  readonly #stretches = new Set<OpenStretch>();
  #end = 0;
  #walked = 0;

  /** The number of places. */
  get end(): number {
    return this.#end;
  }

  /** Positions that senders have reached, deferred ones included. */
  get walked(): number {
    return this.#walked;
  }

  /** A shard is leased. */
  open(length: number): Stretch {
    const stretch = { first: this.#end, length };
    this.#stretches.add(stretch);
    this.#end += length;
    return stretch;
  }

  advance(positions: number): void {
    this.#walked += positions;
  }

  /** Keeps places only for the first `sent` positions of a shard, because no more of it will be sent. */
  close(stretch: Stretch, sent: number): void {
    assert(sent <= stretch.length, `${sent} of ${stretch.length} positions were sent`);
    const places = stretch.length - sent;
    if (places === 0) return;
    let isLater = false;
    for (const other of this.#stretches) {
      if (isLater) other.first -= places;
      isLater ||= other === stretch;
    }
    this.#end -= places;
    this.onCut(stretch.first + sent, places);
  }

  /** Forgets a shard whose places are no longer needed. */
  forget(stretch: Stretch): void {
    this.#stretches.delete(stretch);
  }
}
