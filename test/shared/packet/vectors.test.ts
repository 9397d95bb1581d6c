/** Reading and writing of packets compared with tshark's reading of the same octets. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress, formatWords, mappedWords } from '../../../shared/net/ipv6.js';
import { Dissection, REJECT } from '../../../shared/packet/dissect.js';
import { PROTOCOL_UDP } from '../../../shared/packet/ipv4.js';
import { TcpOptions } from '../../../shared/packet/tcp.js';
import { type PlainFlow, probeOf, read, STAMP } from '../../support/replies.js';
import { framesOf, tsharkFields, tsharkFieldsOf } from '../../support/tshark.js';

const EXCHANGE = new URL('../../vectors/exchange.pcap', import.meta.url).pathname;
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

describe('packets', () => {
  test('that a real kernel sent are read as tshark reads them', () => {
    const frames = framesOf(EXCHANGE);
    const theirs = tsharkFields(EXCHANGE, FIELDS);
    const options = new TcpOptions();
    expect(frames.length).toBe(theirs.length);
    let segments = 0;
    let errors = 0;
    for (const [i, frame] of frames.entries()) {
      const ours = new Dissection(new DataView(frame.buffer));
      const verdict = ours.dissect('ethernet', 0, frame.length);
      const fields = theirs[i]!;
      const first = (name: (typeof FIELDS)[number]) => fields[name]![0]!;
      expect(verdict).toBe(REJECT.OK);
      expect(formatAddress(ours.responder)).toBe(first('ip.src'));
      expect(ours.identification).toBe(Number(first('ip.id')));
      expect(ours.timeToLive).toBe(Number(first('ip.ttl')));
      if (ours.protocol === PROTOCOL_UDP) {
        expect(first('icmp.code')).toBe('3'); // port unreachable, quoting a datagram
        expect([ours.isError, ours.icmp.code]).toEqual([true, 3]);
        continue;
      }
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
    for (const [i, fields] of tsharkFieldsOf(probes, FIELDS).entries()) {
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
  });
});

/** The sequence number of a probe without a link header. */
function sequenceOf(probe: Uint8Array): number {
  return read(probe).tcp.sequence;
}
