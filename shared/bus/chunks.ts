/** Large octet strings in chunks, several at once: spaces to agents, rules and spaces to the coordinator. */
import { LIMITS } from '../base/limits.js';

/** Chunks in progress at once: few, so that many agents together do not hold up heartbeats. */
const AT_ONCE = 4;

/**
 * Calls `work` for each chunk of `octets` octets, for some at once.
 * @param from the first octet that is still missing
 */
export async function eachChunk(
  from: number,
  octets: number,
  work: (from: number, to: number) => Promise<void>,
): Promise<void> {
  let next = from;
  const lane = async () => {
    while (next < octets) {
      const start = next;
      next = Math.min(start + LIMITS.chunkOctets, octets);
      await work(start, next);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

/**
 * Reads a whole from chunks.
 * @param read returns a chunk that starts at an octet, and the number of octets of the whole
 * @returns the octets in shared memory, which threads can use in place; undefined if the whole is unknown or changes
 */
export async function download(
  octetsMax: number,
  read: (offset: number) => Promise<{ readonly chunk: Uint8Array; readonly total: number }>,
): Promise<Uint8Array | undefined> {
  const first = await read(0);
  const { total } = first;
  if (total === 0 || total > octetsMax) return undefined;
  const bytes = new Uint8Array(new SharedArrayBuffer(total));
  let received = 0;
  const place = ({ chunk }: { readonly chunk: Uint8Array }, from: number) => {
    const part = chunk.subarray(0, total - from);
    bytes.set(part, from);
    received += part.length;
  };
  place(first, 0);
  await eachChunk(first.chunk.length, total, async (from) => place(await read(from), from));
  return received === total ? bytes : undefined;
}

/**
 * Sends a whole in chunks.
 * @param send sends a chunk that starts at an octet; returns `bytes.length` once the receiver has all
 */
export async function upload(
  bytes: Uint8Array,
  send: (offset: number, chunk: Uint8Array) => Promise<{ readonly total: number }>,
): Promise<void> {
  const first = await send(0, bytes.subarray(0, LIMITS.chunkOctets));
  if (first.total === bytes.length) return;
  await eachChunk(LIMITS.chunkOctets, bytes.length, async (from, to) => {
    await send(from, bytes.subarray(from, to));
  });
}
