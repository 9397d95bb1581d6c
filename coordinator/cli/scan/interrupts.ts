/**
 * Stop signals, counted from the start of a command: the first asks for an orderly end, the second to stop at
 * once. Signals that arrive before a listener is set are kept. If the reader of the rows closes its end, that
 * counts as the first signal.
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

  /** Calls the listener at each signal, and at once if there has been any signal before; it gets the count so far. */
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
