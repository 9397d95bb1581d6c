/** Reading and writing of packets compared with tshark's reading of the same octets. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress, formatWords, mappedWords } from '../../../shared/net/ipv6.js';
import { Dissection, REJECT } from '../../../shared/packet/dissect.js';
import { TcpOptions } from '../../../shared/packet/tcp.js';
import { type PlainFlow, probeOf, read, STAMP } from '../../support/replies.js';

const EXCHANGE = new URL('../../vectors/exchange.pcap', import.meta.url).pathname;
const GLOBAL_HEADER_OCTETS = 24;
const RECORD_HEADER_OCTETS = 16;
const LINKTYPE_RAW = 101;

const FIELDS = [
  'ip.src',
  'ip.dst',
  'ip.id',
  'ip.ttl',
  'ip.checksum.status',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.seq',
  'tcp.ack_raw',
  'tcp.flags',
  'tcp.window_size_value',
  'tcp.checksum.status',
  'tcp.options.mss_val',
  'icmp.type',
  'icmp.code',
  'ipv6.src',
  'ipv6.dst',
  'ipv6.hlim',
  'tcp.options.wscale.shift',
  'tcp.options.timestamp.tsval',
] as const;

function tshark(file: string): Record<string, string[]>[] {
  const options = [
    'ip.check_checksum:TRUE',
    'tcp.check_checksum:TRUE',
    'tcp.relative_sequence_numbers:FALSE',
  ];
  const checks = options.flatMap((option) => ['-o', option]);
  const fields = FIELDS.flatMap((field) => ['-e', field]);
  const flags = ['-r', file, ...checks, '-T', 'fields', '-E', 'separator=|', ...fields];
  const lines = execFileSync('tshark', flags, { stdio: ['ignore', 'pipe', 'ignore'] });
  return lines
    .toString()
    .trim()
    .split('\n')
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.split(','));
      return Object.fromEntries(FIELDS.map((field, i) => [field, cells[i] ?? []]));
    });
}

/** The frames of a classic little-endian pcap file. */
function framesOf(file: string): Uint8Array[] {
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

describe('packets', () => {
  test('that a real kernel sent are read as tshark reads them', () => {
    const frames = framesOf(EXCHANGE);
    const theirs = tshark(EXCHANGE);
    const options = new TcpOptions();
    expect(frames.length).toBe(theirs.length);
    let segments = 0;
    let errors = 0;
    for (const [i, frame] of frames.entries()) {
      const ours = new Dissection(new DataView(frame.buffer));
      const verdict = ours.dissect('ethernet', 0, frame.length);
      const fields = theirs[i]!;
      const first = (name: (typeof FIELDS)[number]) => fields[name]![0]!;
      if (verdict === REJECT.OTHER_PROTOCOL) {
        expect(first('icmp.code')).toBe('3'); // port unreachable, quoting a datagram
        continue;
      }
      expect(verdict).toBe(REJECT.OK);
      expect(formatAddress(ours.responder)).toBe(first('ip.src'));
      expect(ours.identification).toBe(Number(first('ip.id')));
      expect(ours.timeToLive).toBe(Number(first('ip.ttl')));
      const tcp = ours.isTcp ? ours.tcp : ours.quotedTcp;
      expect(tcp.sourcePort).toBe(Number(first('tcp.srcport')));
      expect(tcp.destinationPort).toBe(Number(first('tcp.dstport')));
      expect(tcp.sequence).toBe(Number(first('tcp.seq')));
      if (ours.isTcp) {
        segments++;
        expect(ours.tcp.acknowledgment).toBe(Number(first('tcp.ack_raw')));
        expect(ours.tcp.flags).toBe(Number(first('tcp.flags')));
        expect(ours.tcp.window).toBe(Number(first('tcp.window_size_value')));
        options.read(ours.tcp);
        expect(options.maximumSegment).toBe(Number(first('tcp.options.mss_val') || -1));
      } else {
        errors++;
        expect(ours.icmp.type).toBe(Number(first('icmp.type')));
        expect(ours.icmp.code).toBe(Number(first('icmp.code')));
        expect(formatAddress(ours.flow.target)).toBe(fields['ip.dst']![1]);
      }
    }
    expect([segments, errors]).toEqual([12, 2]);
  });

  const word = fc.integer({ min: 0, max: 0xffffffff });
  const port = fc.integer({ min: 1, max: 65535 });
  const flowsOf = (address: fc.Arbitrary<PlainFlow['source']>) =>
    fc.sample(fc.record({ source: address, sourcePort: port, address, port }), 200);
  const FAMILIES = [
    { family: 4, ip: 'ip', address: word.map(mappedWords) },
    { family: 6, ip: 'ipv6', address: fc.tuple(fc.constant(0x20010db8), word, word, word) },
  ] as const;
  const LAYOUTS = [
    { layout: 'mss', shift: '', window: '65535', stamped: false },
    { layout: 'linux', shift: '7', window: '64240', stamped: true },
    { layout: 'windows', shift: '8', window: '64240', stamped: false },
    { layout: 'bsd', shift: '6', window: '65535', stamped: true },
  ];
  const CASES = FAMILIES.flatMap((family) => LAYOUTS.map((layout) => ({ ...family, ...layout })));

  test.each(CASES)('that we send are valid for tshark: IPv$family, $layout', (sent) => {
    const flows = flowsOf(sent.address);
    const probes = flows.map((each) =>
      probeOf(each, undefined, { layout: sent.layout, ttl: '33' }),
    );
    const folder = mkdtempSync(join(tmpdir(), 'transect-vectors-'));
    try {
      const file = join(folder, 'probes.pcap');
      writeFileSync(file, pcapOf(probes));
      for (const [i, fields] of tshark(file).entries()) {
        const { source, sourcePort, address, port: service } = flows[i]!;
        expect(fields).toMatchObject({
          [`${sent.ip}.src`]: [formatWords(source)],
          [`${sent.ip}.dst`]: [formatWords(address)],
          [sent.family === 4 ? 'ip.ttl' : 'ipv6.hlim']: ['33'],
          'ip.checksum.status': [sent.family === 4 ? '1' : ''],
          'tcp.srcport': [String(sourcePort)],
          'tcp.dstport': [String(service)],
          'tcp.seq': [String(sequenceOf(probes[i]!))],
          'tcp.flags': ['0x0002'],
          'tcp.checksum.status': ['1'],
          'tcp.window_size_value': [sent.window],
          'tcp.options.mss_val': [sent.family === 4 ? '1460' : '1440'],
          'tcp.options.wscale.shift': [sent.shift],
          'tcp.options.timestamp.tsval': [sent.stamped ? String(STAMP) : ''],
        });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** The sequence number of a probe without a link header. */
function sequenceOf(probe: Uint8Array): number {
  return read(probe).tcp.sequence;
}
