/**
 * The canonical bytes of a space: processes exchange them, and their hash identifies the space. A space that is
 * read from them uses their arrays in place, so little-endian numbers are aligned to their size.
 *
 *     "TSP4" (u32), octets of the head (u32), the head (JSON, fixed order of keys, padded with spaces to a multiple
 *     of 8); then IPv4 ranges: all first addresses, all last addresses, u32; the kept slots of each window: all
 *     starts, all ends, f64; the hitlist's addresses as 4 × u32; the addresses of pairs as 4 × u32, then their ports
 *     as u32
 */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.js';
import { Fault } from '../../base/faults.js';
import { type ProbePort, portIn, probeIn, probePort } from '../../net/ports.js';
import { Ranges } from '../../net/ranges.js';
import { PROBES_MAX } from '../../probe/probe-set.js';
import { AddressList } from './address-list.js';
import { parseWindow } from './parse-window.js';
import { Space } from './space.js';

/** How many port numbers there are, including 0, which stands for probes without ports. */
const PORTS = 65536;
const MAGIC = 0x34505354; // "TSP4"
const HEAD_AT = 8;
const ALIGNMENT = 8;
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
  const text = Buffer.from(JSON.stringify(head));
  const json = Buffer.concat([text, Buffer.alloc(-text.length & (ALIGNMENT - 1), ' ')]);
  const bytes = new Uint8Array(HEAD_AT + json.length + bodyOctets(head));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, json.length, true);
  bytes.set(json, HEAD_AT);
  const body = new Body(bytes, HEAD_AT + json.length);
  body.u32(ipv4.count).set(ipv4.from);
  const last = body.u32(ipv4.count);
  for (let i = 0; i < last.length; i++) last[i] = (ipv4.to[i] as number) - 1;
  for (const { ranks } of windows) {
    body.f64(ranks.ranges.count).set(ranks.ranges.from);
    body.f64(ranks.ranges.count).set(ranks.ranges.to);
  }
  body.u32(hitlist.words.length).set(hitlist.words);
  body.u32(pairs.words.length).set(pairs.words);
  body.u32(pairs.size).set(pairs.ports);
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

function readSpace(given: Uint8Array): Space {
  const bytes = given.byteOffset % ALIGNMENT === 0 ? given : new Uint8Array(given);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert(view.getUint32(0, true) === MAGIC, 'a space does not start with its magic number');
  const octets = view.getUint32(4, true);
  assert(octets % ALIGNMENT === 0, 'the body of a space is not aligned');
  const json = Buffer.from(bytes.subarray(HEAD_AT, HEAD_AT + octets)).toString();
  const head = JSON.parse(json) as Head;
  const from = HEAD_AT + octets;
  assert(bytes.length === from + bodyOctets(head), 'a space is not as long as its head says');
  const body = new Body(bytes, from);
  const first = Float64Array.from(body.u32(head.ipv4));
  const ipv4 = Ranges.fromSorted(
    first,
    Float64Array.from(body.u32(head.ipv4), (last) => last + 1),
  );
  const windows = head.windows.map(({ text, seed, kept }) => {
    const window = parseWindow(text, seed);
    const slots = Ranges.fromSorted(body.f64(kept), body.f64(kept));
    assert((slots.to.at(-1) ?? 0) <= window.slots, 'a slot is outside its window');
    return window.keeping(slots);
  });
  const hitlist = AddressList.fromSorted(body.u32(head.hitlist * WORDS), new Uint32Array(0));
  assert(hitlist.ipv4.first === hitlist.ipv4.end, 'an IPv4 address is in the hitlist');
  const pairs = AddressList.fromSorted(body.u32(head.pairs * WORDS), body.u32(head.pairs));
  assert(
    pairs.ports.every((port) => portIn(port) > 0),
    'a pair has no port',
  );
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

function bodyOctets({ ipv4, windows, hitlist, pairs }: Head): number {
  const kept = windows.reduce((sum, window) => sum + window.kept, 0);
  const words = 2 * ipv4 + WORDS * hitlist + (WORDS + 1) * pairs;
  const octets = 4 * words + 16 * kept;
  assert(Number.isSafeInteger(octets) && octets >= 0, 'the counts of a space are no counts');
  return octets;
}

/** The arrays of a body, one after the other, in place. */
class Body {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = bytes.byteOffset + at;
  }

  u32(count: number): Uint32Array {
    const array = new Uint32Array(this.#bytes.buffer, this.#at, count);
    this.#at += array.byteLength;
    return array;
  }

  f64(count: number): Float64Array {
    const array = new Float64Array(this.#bytes.buffer, this.#at, count);
    this.#at += array.byteLength;
    return array;
  }
}
