/**
 * Ctrl-C and SIGTERM, counted from the moment a command begins: the first asks to finish in order,
 * the second to stop now. Those that come before anyone listens are not lost.
 */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export class Interrupts implements Disposable {
  #count = 0;
  #listener: (count: number) => void = () => {};
  readonly #hear = () => {
    this.#count++;
    this.#listener(this.#count);
  };

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#hear);
  }

  /** How often so far. */
  get count(): number {
    return this.#count;
  }

  /** Calls the listener with the count so far, if any, and at each interrupt. */
  listen(listener: (count: number) => void): void {
    this.#listener = listener;
    if (this.#count > 0) listener(this.#count);
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#hear);
  }
}
