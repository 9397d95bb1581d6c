/** Reads a list from a file or a stream in blocks; compressed lists are recognised by their first octets. */
import { createReadStream } from 'node:fs';
import { pipeline, Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { describeError, Fault } from '../../base/faults.js';
import type { ListReader } from './list-reader.js';

const BLOCK_OCTETS = 2 ** 20;
/** RFC 1952 §2.3.1. */
const GZIP = Buffer.of(0x1f, 0x8b);
/** RFC 8878 §3.1.1. */
const ZSTD = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);

/**
 * @param source the path of a file, or a stream
 * @param flag the flag that named the list, for errors
 * @param onRead called after each block, with the octets read so far; compressed ones count as they are
 * @throws Fault UNREADABLE_FILE, and the faults of the reader
 */
export async function readListFile(
  reader: ListReader,
  source: string | Readable,
  flag: string,
  onRead: (octets: number) => void = () => {},
): Promise<void> {
  const stream =
    typeof source === 'string' ? createReadStream(source, { highWaterMark: BLOCK_OCTETS }) : source;
  try {
    for await (const block of decompressed(stream, onRead)) reader.add(block);
    reader.finish();
  } catch (error) {
    if (error instanceof Fault) throw error.at({ flag, file: reader.file });
    const reason = `cannot read the file: ${describeError(error)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag, file: reader.file }, error);
  }
}

async function* decompressed(
  stream: Readable,
  onRead: (octets: number) => void,
): AsyncGenerator<Uint8Array> {
  const blocks = counted(stream, onRead);
  let first = Buffer.alloc(0);
  // A pipe may deliver single octets.
  for (let next = await blocks.next(); next.done !== true; next = await blocks.next()) {
    first = Buffer.concat([first, next.value]);
    if (first.length >= ZSTD.length) break;
  }
  if (first.length === 0) return;
  const all = startingWith(first, blocks);
  const decompressor = decompressorFor(first);
  if (decompressor === undefined) yield* all;
  // An error of the source destroys the decompressor, and with it this loop.
  else yield* pipeline(Readable.from(all), decompressor, () => {});
}

async function* counted(
  stream: Readable,
  onRead: (octets: number) => void,
): AsyncGenerator<Buffer> {
  let octets = 0;
  for await (const block of stream as AsyncIterable<Buffer>) {
    octets += block.length;
    yield block;
    onRead(octets);
  }
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

function decompressorFor(start: Buffer): Transform | undefined {
  const startsWith = (magic: Buffer) => start.subarray(0, magic.length).equals(magic);
  if (startsWith(GZIP)) return zlib.createGunzip({ chunkSize: BLOCK_OCTETS });
  if (!startsWith(ZSTD)) return undefined;
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };
  if (createZstdDecompress !== undefined) return createZstdDecompress();
  const reason =
    'zstd needs Node.js 22.15 or later: decompress the list first (zstdcat FILE | … -w -)';
  throw new Fault('UNREADABLE_FILE', reason);
}
