/**
 * The canonical bytes of a space: processes exchange them, and their hash identifies the space.
 *
 *     "TSP3", octets of the head (u32), the head (JSON, fixed order of keys), then, big-endian:
 *     IPv4 ranges as (first, last) u32; each window's kept slots as (from, to) f64;
 *     listed addresses as 4 × u32; addresses of listed pairs as 4 × u32, then their ports as u32
 */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.js';
import { Fault } from '../../base/faults.js';
import { type ProbePort, portIn, probeIn, probePort } from '../../net/ports.js';
import { Ranges } from '../../net/ranges.js';
import { PROBES_MAX } from '../../probe/probe-set.js';
import { AddressList } from './address-list.js';
import { Space } from './space.js';
import { parseWindow } from './window.js';

/** How many port numbers there are, including 0, which stands for probes without ports. */
const PORTS = 65536;
const MAGIC = 0x54535033;
const RANGE_OCTETS = 8;
const SLOTS_OCTETS = 16;
const ADDRESS_OCTETS = 16;
const PORT_OCTETS = 4;
const WORDS = 4;

interface Head {
  readonly ipv4: number;
  readonly windows: readonly {
    readonly text: string;
    readonly seed: string;
    readonly kept: number;
  }[];
  readonly hitlist: number;
  /** By probe: runs [first, last] of ports. */
  readonly ports: readonly (readonly (readonly [number, number])[])[];
  readonly pairs: number;
}

/** @param seed of the survey, on which random interface identifiers depend */
export function spaceToBytes(space: Space, seed: string): Uint8Array {
  const { ipv4, windows, hitlist, ports, pairs } = space.parts;
  const head: Head = {
    ipv4: ipv4.count,
    windows: windows.map(({ text, ids, ranks }) => ({
      text,
      seed: ids?.text === 'random' ? seed : '',
      kept: ranks.ranges.count,
    })),
    hitlist: hitlist.size,
    ports: runsByProbe(ports),
    pairs: pairs.size,
  };
  const json = Buffer.from(JSON.stringify(head));
  const bytes = new Uint8Array(8 + json.length + bodyOctets(head));
  bytes.set(json, 8);
  const out = new Cursor(bytes);
  out.u32(MAGIC);
  out.u32(json.length);
  out.at += json.length;
  for (const { from, to } of ipv4) {
    out.u32(from);
    out.u32(to - 1);
  }
  for (const { ranks } of windows) {
    for (const { from, to } of ranks.ranges) {
      out.f64(from);
      out.f64(to);
    }
  }
  for (const word of hitlist.words) out.u32(word);
  for (const word of pairs.words) out.u32(word);
  for (const port of pairs.ports) out.u32(port);
  return bytes;
}

/** The name of a space: SHA-256 of its canonical bytes, in hexadecimal. */
export function hashSpace(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Verifies bytes that are stored under a hash. @throws Fault BAD_MESSAGE if they have another hash */
export function refuseOtherBytes(bytes: Uint8Array, hash: string, what: string): void {
  if (hashSpace(bytes) === hash) return;
  throw new Fault('BAD_MESSAGE', `${what} does not have the expected hash`, { value: hash });
}

/** @throws Fault BAD_MESSAGE if the bytes are not a space */
export function spaceFromBytes(bytes: Uint8Array): Space {
  try {
    return readSpace(bytes);
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the bytes are not a space', {}, cause);
  }
}

function readSpace(bytes: Uint8Array): Space {
  const input = new Cursor(bytes);
  assert(input.readU32() === MAGIC, 'a space does not start with its magic number');
  const octets = input.readU32();
  const json = Buffer.from(bytes.subarray(input.at, input.at + octets)).toString();
  const head = JSON.parse(json) as Head;
  input.at += octets;
  assert(bytes.length === input.at + bodyOctets(head), 'a space is not as long as its head says');
  const ipv4 = readRanges(head.ipv4, () => [input.readU32(), input.readU32() + 1]);
  assert(ipv4.size <= 2 ** 32, 'a space has more than 2^32 IPv4 addresses');
  const windows = head.windows.map(({ text, seed, kept }) => {
    const window = parseWindow(text, seed);
    const slots = readRanges(kept, () => [input.readF64(), input.readF64()]);
    assert((slots.to.at(-1) ?? 0) <= window.slots, 'a slot is outside its window');
    return window.keeping(slots);
  });
  const hitlist = readList(input, head.hitlist, false);
  const pairs = readList(input, head.pairs, true);
  assert(head.ports.length <= PROBES_MAX, 'a space has too many probes');
  const ports = head.ports.flatMap(portsOf);
  return new Space({ ipv4, windows, hitlist, ports, pairs });
}

/** The ports of each probe as runs of adjacent ones. @param ports ascending */
function runsByProbe(ports: readonly ProbePort[]): [number, number][][] {
  const probes: [number, number][][] = [];
  for (const code of ports) {
    const [probe, port] = [probeIn(code), portIn(code)];
    while (probes.length <= probe) probes.push([]);
    const runs = probes[probe] as [number, number][];
    const run = runs.at(-1);
    if (run !== undefined && port === run[1] + 1) run[1] = port;
    else runs.push([port, port]);
  }
  return probes;
}

/** The ports of one probe. @param runs checked before they are expanded, so that few octets cannot become many ports */
function portsOf(runs: readonly (readonly [number, number])[], probe: number): ProbePort[] {
  let next = 0;
  for (const [first, last] of runs) {
    assert(next <= first && first <= last && last < PORTS, 'ports are out of range or unsorted');
    next = last + 1;
  }
  return runs.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => probePort(probe, first + i)),
  );
}

function readRanges(count: number, read: () => [number, number]): Ranges {
  const from = new Float64Array(count);
  const to = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const [start, end] = read();
    from[i] = start;
    to[i] = end;
  }
  return Ranges.fromSorted(from, to);
}

function readList(input: Cursor, count: number, hasPorts: boolean): AddressList {
  const words = new Uint32Array(count * WORDS);
  const ports = new Uint32Array(count);
  for (let i = 0; i < words.length; i++) words[i] = input.readU32();
  if (hasPorts) for (let i = 0; i < count; i++) ports[i] = input.readU32();
  assert(!hasPorts || ports.every((port) => portIn(port as ProbePort) > 0), 'a pair has no port');
  return AddressList.fromSorted(words, ports);
}

function bodyOctets({ ipv4, windows, hitlist, pairs }: Head): number {
  const kept = windows.reduce((sum, window) => sum + window.kept, 0);
  const listed = hitlist * ADDRESS_OCTETS + pairs * (ADDRESS_OCTETS + PORT_OCTETS);
  return ipv4 * RANGE_OCTETS + kept * SLOTS_OCTETS + listed;
}

/** Reads and writes big-endian numbers one after the other. */
class Cursor {
  at = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(value: number): void {
    this.#view.setUint32(this.#step(4), value);
  }
  f64(value: number): void {
    this.#view.setFloat64(this.#step(8), value);
  }
  readU32(): number {
    return this.#view.getUint32(this.#step(4));
  }
  readF64(): number {
    return this.#view.getFloat64(this.#step(8));
  }

  #step(octets: number): number {
    this.at += octets;
    return this.at - octets;
  }
}
