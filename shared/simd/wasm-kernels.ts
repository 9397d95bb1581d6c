/**
 * The WebAssembly kernels of `assemblyscript/` with their memory: columns of plain typed arrays that a kernel
 * reads and writes. A cookie takes 8 ns (20 in plain TypeScript) and a position 10 ns (44), because
 * JavaScript has neither vectors nor 64-bit products (Xeon, Node 20, 2026-11-23).
 */
import { readFileSync } from 'node:fs';
import { programFile } from '../base/program-files.js';

const FILE = programFile('shared/simd/gen/kernels.wasm');
const PAGE_OCTETS = 65536;
const ALIGNMENT = 16;
const LANES = 8;

interface Kernels {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  scramble(
    ...args: [
      from: number,
      count: number,
      keys: number,
      rounds: number,
      lowSpan: number,
      lowShift: number,
      highSpan: number,
      out: number,
    ]
  ): void;
  tag(
    ...args: [
      x: number,
      y: number,
      z: number,
      count: number,
      key: number,
      firsts: number,
      seconds: number,
    ]
  ): void;
  tagLong(
    ...args: [
      w0: number,
      w1: number,
      w2: number,
      w3: number,
      ports: number,
      high: number,
      low: number,
      count: number,
      key: number,
      hasState: number,
      firsts: number,
      seconds: number,
    ]
  ): void;
}

/** The part of WebAssembly that we use; Node's types do not declare it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

let compiled: object | undefined;

/** An instance with a memory of its own, from which columns are allocated. */
class Instance {
  readonly kernels: Kernels;
  #free = 0;

  constructor(octets: number) {
    compiled ??= new WebAssembly.Module(readFileSync(FILE));
    this.kernels = new WebAssembly.Instance(compiled, {}).exports as unknown as Kernels;
    const { memory } = this.kernels;
    const missing = octets - memory.buffer.byteLength;
    // The memory grows before any column is allocated, because growing would detach them.
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_OCTETS));
  }

  words(count: number): Uint32Array {
    const rounded = roundedUp(count);
    return new Uint32Array(this.kernels.memory.buffer, this.#take(rounded * 4), rounded);
  }

  doubles(count: number): Float64Array {
    const rounded = roundedUp(count);
    return new Float64Array(this.kernels.memory.buffer, this.#take(rounded * 8), rounded);
  }

  #take(octets: number): number {
    const at = this.#free;
    this.#free += Math.ceil(octets / ALIGNMENT) * ALIGNMENT;
    return at;
  }
}

/** Rounds up to whole steps of the kernels, so that columns have room for a full last step. */
function roundedUp(count: number): number {
  return Math.ceil(count / LANES) * LANES;
}

/** Parameters of a Feistel network, and its round keys. */
export interface FeistelShape {
  readonly keys: ArrayLike<number>;
  readonly lowSpan: number;
  readonly lowShift: number;
  readonly highSpan: number;
}

/** One pass through a Feistel network for many numbers in a row. */
export class FeistelKernel {
  /** The output of the last call. */
  readonly values: Float64Array;
  readonly #kernels: Kernels;
  readonly #keys: Uint32Array;
  readonly #shape: FeistelShape;

  constructor(capacity: number, shape: FeistelShape) {
    const instance = new Instance((roundedUp(capacity) + LANES) * 8);
    this.#kernels = instance.kernels;
    this.#keys = instance.words(shape.keys.length);
    this.#keys.set(shape.keys);
    this.#shape = shape;
    this.values = instance.doubles(capacity);
  }

  /**
   * Permutes the numbers `from`, `from + 1`, … and writes the results to `values`; `count` must not exceed
   * the capacity.
   */
  run(from: number, count: number): void {
    const { keys, lowSpan, lowShift, highSpan } = this.#shape;
    const rounds = keys.length;
    const at = this.#keys.byteOffset;
    const out = this.values.byteOffset;
    this.#kernels.scramble(from, count, at, rounds, lowSpan, lowShift, highSpan, out);
  }
}

/** Words of a key: see `tagLong`. */
const KEY_WORDS = 12;

/** Chaskey-12 of many messages, column by column: of three words (`run`), or of nine (`runLong`). */
export class TagKernel {
  /** The words of a short message. The last two are also the last word of the target's address and the ports. */
  readonly x: Uint32Array;
  readonly y: Uint32Array;
  readonly z: Uint32Array;
  /** The first three words of the target's address, and the chosen bits of ours: of long messages only. */
  readonly w0: Uint32Array;
  readonly w1: Uint32Array;
  readonly w2: Uint32Array;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  /** The first and the second word of each tag. */
  readonly firsts: Uint32Array;
  readonly seconds: Uint32Array;
  readonly #kernels: Kernels;
  readonly #key: Uint32Array;

  constructor(capacity: number) {
    const instance = new Instance((roundedUp(capacity) * 10 + 2 * LANES) * 4);
    this.#kernels = instance.kernels;
    this.#key = instance.words(KEY_WORDS);
    this.x = instance.words(capacity);
    this.y = instance.words(capacity);
    this.z = instance.words(capacity);
    this.w0 = instance.words(capacity);
    this.w1 = instance.words(capacity);
    this.w2 = instance.words(capacity);
    this.high = instance.words(capacity);
    this.low = instance.words(capacity);
    this.firsts = instance.words(capacity);
    this.seconds = instance.words(capacity);
  }

  /** @param key the initial state (four words), and two words that are XORed into the tag */
  run(key: ArrayLike<number>, count: number): void {
    this.#key.set(key);
    const { x, y, z, firsts, seconds } = this;
    this.#kernels.tag(
      x.byteOffset,
      y.byteOffset,
      z.byteOffset,
      count,
      this.#key.byteOffset,
      firsts.byteOffset,
      seconds.byteOffset,
    );
  }

  /**
   * @param key state, subkey and our address, of four words each
   * @param hasState true if the state is that after the block of our address
   */
  runLong(key: ArrayLike<number>, hasState: boolean, count: number): void {
    this.#key.set(key);
    const { w0, w1, w2, y, z, high, low, firsts, seconds } = this;
    this.#kernels.tagLong(
      w0.byteOffset,
      w1.byteOffset,
      w2.byteOffset,
      y.byteOffset,
      z.byteOffset,
      high.byteOffset,
      low.byteOffset,
      count,
      this.#key.byteOffset,
      Number(hasState),
      firsts.byteOffset,
      seconds.byteOffset,
    );
  }
}
