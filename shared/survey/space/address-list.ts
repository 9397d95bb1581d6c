/**
 * Single addresses (a hitlist), or (address, port) pairs: sorted, without duplicates, in flat arrays. Ports
 * are zero in a hitlist.
 */
import { assert } from '../../base/assert.js';
import { Target } from '../../net/endpoint.js';
import { portIn, probeIn, probePort } from '../../net/ports.js';

const WORDS = 4;

export class AddressList {
  readonly size: number;
  readonly words: Uint32Array;
  readonly ports: Uint32Array;

  private constructor(words: Uint32Array, ports: Uint32Array) {
    this.words = words;
    this.ports = ports;
    this.size = ports.length;
  }

  static of(targets: readonly Target[]): AddressList {
    const sorted = [...targets].sort(compareTargets);
    const unique = sorted.filter((target, i) => {
      const previous = sorted[i - 1];
      return previous === undefined || compareTargets(previous, target) !== 0;
    });
    const words = new Uint32Array(unique.length * WORDS);
    const ports = new Uint32Array(unique.length);
    for (const [i, { w0, w1, w2, w3, probe, port }] of unique.entries()) {
      words.set([w0, w1, w2, w3], i * WORDS);
      ports[i] = probePort(probe, port);
    }
    return new AddressList(words, ports);
  }

  /** A list from the arrays of another one, as received from another process; checked. */
  static fromSorted(words: Uint32Array, ports: Uint32Array): AddressList {
    assert(words.length === WORDS * ports.length, 'different numbers of addresses and ports');
    for (let i = 1; i < ports.length; i++) {
      assert(isBefore(words, ports, i - 1, i), 'listed addresses are unsorted or duplicate');
    }
    return new AddressList(words, ports);
  }

  /** Writes the address, and the port if there is one, into the target. */
  at(ordinal: number, target: Target): void {
    const { words } = this;
    const i = ordinal * WORDS;
    target.w0 = words[i] as number;
    target.w1 = words[i + 1] as number;
    target.w2 = words[i + 2] as number;
    target.w3 = words[i + 3] as number;
    const port = this.ports[ordinal] as number;
    if (port === 0) return;
    target.port = portIn(port);
    target.probe = probeIn(port);
  }

  /** The rank of the entry with the target's address and `port` (0 in a hitlist), or −1. */
  ordinalOf(target: Target, port: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle, target, port) < 0) low = middle + 1;
      else high = middle;
    }
    return low < this.size && this.#compare(low, target, port) === 0 ? low : -1;
  }

  *[Symbol.iterator](): Generator<Target> {
    for (let i = 0; i < this.size; i++) {
      const target = new Target();
      this.at(i, target);
      yield target;
    }
  }

  #compare(ordinal: number, { w0, w1, w2, w3 }: Target, port: number): number {
    const { words } = this;
    const i = ordinal * WORDS;
    return (
      (words[i] as number) - w0 ||
      (words[i + 1] as number) - w1 ||
      (words[i + 2] as number) - w2 ||
      (words[i + 3] as number) - w3 ||
      (this.ports[ordinal] as number) - port
    );
  }
}

/** True if entry `a` comes before entry `b`. */
function isBefore(words: Uint32Array, ports: Uint32Array, a: number, b: number): boolean {
  for (let word = 0; word < WORDS; word++) {
    const difference = (words[a * WORDS + word] as number) - (words[b * WORDS + word] as number);
    if (difference !== 0) return difference < 0;
  }
  return (ports[a] as number) < (ports[b] as number);
}

function compareTargets(a: Target, b: Target): number {
  return (
    a.w0 - b.w0 || a.w1 - b.w1 || a.w2 - b.w2 || a.w3 - b.w3 || a.probe - b.probe || a.port - b.port
  );
}
