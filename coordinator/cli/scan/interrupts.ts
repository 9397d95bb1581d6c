/**
 * Signals that ask to end, counted from the moment a command begins: the first asks to finish in order,
 * the second to stop now. Those that come before anyone listens are not lost. A reader of the rows who
 * goes away asks once, however often that is noticed.
 */
import { onStopSignal } from '../../../shared/command/signals.js';

export class Interrupts implements Disposable {
  #count = 0;
  #hasReaderGone = false;
  #listener: (count: number) => void = () => {};
  #hurry: () => void = () => {};
  /** Resolves at the second. */
  readonly hurried = new Promise<void>((resolve) => {
    this.#hurry = resolve;
  });
  readonly #forget = onStopSignal(() => this.#raise());

  /** How often so far. */
  get count(): number {
    return this.#count;
  }

  /** Calls the listener with the count so far, if any, and at each interrupt. */
  listen(listener: (count: number) => void): void {
    this.#listener = listener;
    if (this.#count > 0) listener(this.#count);
  }

  readerGone(): void {
    if (this.#hasReaderGone) return;
    this.#hasReaderGone = true;
    if (this.#count === 0) this.#raise();
  }

  [Symbol.dispose](): void {
    this.#forget();
  }

  #raise(): void {
    this.#count++;
    if (this.#count === 2) this.#hurry();
    this.#listener(this.#count);
  }
}
