/**
 * Stop signals, counted from the start of a command: the first asks to finish in order, the second to stop at
 * once. Signals before a listener is set are kept. A reader of the rows that closes its end counts as one
 * signal.
 */
import { onStopSignal } from '../../../shared/command/signals.js';

export class Interrupts implements Disposable {
  #count = 0;
  #hasReaderGone = false;
  #listener: (count: number) => void = () => {};
  #hurry: () => void = () => {};
  /** Resolves at the second signal. */
  readonly hurried = new Promise<void>((resolve) => {
    this.#hurry = resolve;
  });
  readonly #unsubscribe = onStopSignal(() => this.#raise());

  /** Signals so far. */
  get count(): number {
    return this.#count;
  }

  /** Calls the listener with the count so far, if any, and at each signal. */
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
    this.#unsubscribe();
  }

  #raise(): void {
    this.#count++;
    if (this.#count === 2) this.#hurry();
    this.#listener(this.#count);
  }
}
