/**
 * Resolution queue: targets on the link that wait, in the order of their positions, until their MAC address
 * is resolved. A ring buffer of columns with commit and rollback: what is taken from its head or added at its
 * tail counts only once it is committed, because written frames may still be withdrawn.
 */
import type { Endpoint } from '../../shared/net/endpoint.js';
import { Target } from '../../shared/net/endpoint.js';

const CAPACITY = 65_536;
const MASK = CAPACITY - 1;
/** Marks targets of abandoned jobs. */
export const NO_JOB = 0xffffffff;

interface JobPosition {
  readonly slot: number;
  readonly position: number;
}

export class ResolutionQueue {
  readonly #slot = new Uint32Array(CAPACITY);
  readonly #egress = new Uint16Array(CAPACITY);
  readonly #position = new Float64Array(CAPACITY);
  readonly #words = new Uint32Array(4 * CAPACITY);
  readonly #port = new Uint16Array(CAPACITY);
  readonly #target = new Target();
  /** The queue's tail when each job was opened: the targets of a job are contiguous. */
  readonly #begunAt = new Map<number, number>();
  /** Total numbers of targets taken and added. */
  #head = 0;
  #tail = 0;
  #committedHead = 0;
  #committedTail = 0;

  get length(): number {
    return this.#tail - this.#head;
  }
  get room(): number {
    return CAPACITY - (this.#tail - this.#committedHead);
  }

  add(slot: number, egress: number, position: number, target: Endpoint): void {
    const at = this.#tail++ & MASK;
    this.#slot[at] = slot;
    this.#egress[at] = egress;
    this.#position[at] = position;
    this.#words.set([target.w0, target.w1, target.w2, target.w3], 4 * at);
    this.#port[at] = target.port;
  }

  /** The entry at the head, which must exist. `target` is the same object each time. */
  get slot(): number {
    return this.#slot[this.#head & MASK] as number;
  }
  get egress(): number {
    return this.#egress[this.#head & MASK] as number;
  }
  get position(): number {
    return this.#position[this.#head & MASK] as number;
  }
  get target(): Target {
    const at = this.#head & MASK;
    const [w0, w1, w2, w3] = this.#words.subarray(4 * at, 4 * at + 4);
    const target = this.#target;
    target.w0 = w0 as number;
    target.w1 = w1 as number;
    target.w2 = w2 as number;
    target.w3 = w3 as number;
    target.port = this.#port[at] as number;
    return target;
  }

  /** Takes the target at the head. */
  take(): void {
    this.#head++;
  }

  commit(): void {
    this.#committedHead = this.#head;
    this.#committedTail = this.#tail;
  }

  /**
   * Puts the first taken target that was not sent, and all targets taken after it, back into the queue.
   * @returns their jobs and positions
   */
  rollBack(isFirst: (slot: number, position: number) => boolean): readonly JobPosition[] {
    const back: JobPosition[] = [];
    for (let at = this.#committedHead; at < this.#head; at++) {
      const jobPosition = {
        slot: this.#slot[at & MASK] as number,
        position: this.#position[at & MASK] as number,
      };
      if (back.length > 0 || isFirst(jobPosition.slot, jobPosition.position))
        back.push(jobPosition);
    }
    this.#head -= back.length;
    this.#committedHead = this.#head;
    return back;
  }

  /** Commits the targets added since the last commit, but drops those of a job from `position` on. */
  keepBefore(slot: number, position: number): void {
    const isKept = (at: number) =>
      this.#slot[at & MASK] !== slot || (this.#position[at & MASK] as number) < position;
    while (this.#tail > this.#committedTail && !isKept(this.#tail - 1)) this.#tail--;
    this.#committedTail = this.#tail;
  }

  /** Drops the targets of a job, whose slot may then be used by another one. */
  drop(slot: number): void {
    for (let at = this.#head; at < this.#tail; at++) {
      if (this.#slot[at & MASK] === slot) this.#slot[at & MASK] = NO_JOB;
    }
  }

  /** Opens a job: until the next call, only its targets are added. */
  open(slot: number): void {
    this.#begunAt.set(slot, this.#tail);
  }

  /** The first queued position of a job; undefined if there is none. Positions of a job ascend. */
  firstOf(slot: number): number | undefined {
    const first = Math.max(this.#begunAt.get(slot) ?? 0, this.#committedHead);
    const isItsOwn = first < this.#committedTail && this.#slot[first & MASK] === slot;
    return isItsOwn ? this.#position[first & MASK] : undefined;
  }
}
