/** Packets in files of pcap, and tshark's reading of them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GLOBAL_HEADER_OCTETS = 24;
const RECORD_HEADER_OCTETS = 16;
const LINKTYPE_RAW = 101;
const OPTIONS = [
  'ip.check_checksum:TRUE',
  'tcp.check_checksum:TRUE',
  'udp.check_checksum:TRUE',
  'sctp.checksum:CRC 32c',
  'tcp.relative_sequence_numbers:FALSE',
];

/** The values of some fields, by frame and name; a field that occurs several times has several. */
export function tsharkFields<Name extends string>(
  file: string,
  names: readonly Name[],
): Record<Name, string[]>[] {
  const checks = OPTIONS.flatMap((option) => ['-o', option]);
  const fields = names.flatMap((field) => ['-e', field]);
  const flags = ['-r', file, ...checks, '-T', 'fields', '-E', 'separator=|', ...fields];
  const lines = execFileSync('tshark', flags, { stdio: ['ignore', 'pipe', 'ignore'] });
  return lines
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.split(','));
      return Object.fromEntries(names.map((field, i) => [field, cells[i] ?? []])) as Record<
        Name,
        string[]
      >;
    });
}

/** The values of some fields of packets without link headers, by packet and name. */
export function tsharkFieldsOf<Name extends string>(
  packets: readonly Uint8Array[],
  names: readonly Name[],
): Record<Name, string[]>[] {
  const folder = mkdtempSync(join(tmpdir(), 'transect-tshark-'));
  try {
    const file = join(folder, 'packets.pcap');
    writeFileSync(file, pcapOf(packets));
    return tsharkFields(file, names);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The frames of a classic little-endian pcap file. */
export function framesOf(file: string): Uint8Array[] {
  const bytes = readFileSync(file);
  const frames: Uint8Array[] = [];
  for (let at = GLOBAL_HEADER_OCTETS; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    at += RECORD_HEADER_OCTETS;
    frames.push(new Uint8Array(bytes.subarray(at, at + length)));
    at += length;
  }
  return frames;
}

function pcapOf(frames: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(GLOBAL_HEADER_OCTETS);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(LINKTYPE_RAW, 20);
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(RECORD_HEADER_OCTETS);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([head, ...records]);
}
