import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldChecksum, sumWords } from '../../../shared/packet/checksum.js';
import { Dissection, type LinkLayer, REJECT } from '../../../shared/packet/dissect.js';
import { TcpOptions } from '../../../shared/packet/tcp.js';
import { errorTo, FLOW, probeOf, resetTo, synAckTo } from '../../support/replies.js';

const PROBE = probeOf(FLOW);
const OPTIONS = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7, 1, 3, 3, 7];
const PACKETS = [
  synAckTo(PROBE, OPTIONS),
  resetTo(PROBE),
  errorTo(PROBE),
  errorTo(PROBE, { quoted: 24 }),
];

/** Dissects a frame that ends exactly where its buffer ends, and reads all there is to read. */
function readAll(frame: Uint8Array, link: LinkLayer): number {
  const exact = frame.slice();
  const views = new Dissection(new DataView(exact.buffer));
  const verdict = views.dissect(link, exact.length);
  if (verdict !== REJECT.OK) return verdict;
  const { ip, tcp, icmp, quotedIp, quotedTcp } = views;
  const seen = [ip.source, ip.destination, ip.timeToLive, ip.identification, ip.totalLength];
  if (views.isTcp) {
    const options = new TcpOptions();
    options.read(tcp);
    seen.push(tcp.sourcePort, tcp.sequence, tcp.acknowledgment, tcp.window, tcp.flags);
    seen.push(options.maximumSegment, options.timestampEcho);
  } else {
    seen.push(icmp.type, icmp.code, quotedIp.source, quotedIp.destination);
    seen.push(quotedTcp.sourcePort, quotedTcp.destinationPort, quotedTcp.sequence);
  }
  expect(seen.every(Number.isInteger)).toBe(true);
  return verdict;
}

const ethernet = (packet: Uint8Array, tags: readonly number[] = []) => {
  const types = [...tags.flatMap((tag) => [tag >>> 8, tag & 255, 0, 5]), 0x08, 0x00];
  return Uint8Array.from([...new Array(12).fill(2), ...types, ...packet]);
};

describe('dissecting', () => {
  test('a frame cut anywhere never reads past its end', () => {
    for (const packet of PACKETS) {
      expect(readAll(packet, 'ip')).toBe(REJECT.OK);
      expect(readAll(ethernet(packet), 'ethernet')).toBe(REJECT.OK);
      for (let length = 0; length < packet.length; length++) {
        readAll(packet.subarray(0, length), 'ip');
        readAll(ethernet(packet).subarray(0, length), 'ethernet');
      }
    }
  });

  test('a frame with any octets changed, added or removed never throws', () => {
    const change = fc.record({
      packet: fc.constantFrom(...PACKETS),
      at: fc.integer({ min: 0, max: 60 }),
      octets: fc.uint8Array({ maxLength: 8 }),
      cut: fc.integer({ min: 0, max: 64 }),
    });
    fc.assert(
      fc.property(change, ({ packet, at, octets, cut }) => {
        const changed = packet.slice();
        changed.set(
          octets.subarray(0, Math.max(0, changed.length - at)),
          Math.min(at, changed.length),
        );
        readAll(changed, 'ip');
        readAll(changed.subarray(0, cut), 'ip');
        readAll(ethernet(changed), 'ethernet');
      }),
      { numRuns: 20_000 },
    );
  });

  test('rubbish never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
        readAll(bytes, 'ip');
        readAll(bytes, 'ethernet');
      }),
      { numRuns: 20_000 },
    );
  });

  test('a frame with one or two VLAN tags is read, one with three is not', () => {
    const packet = PACKETS[0]!;
    expect(readAll(ethernet(packet, [0x8100]), 'ethernet')).toBe(REJECT.OK);
    expect(readAll(ethernet(packet, [0x88a8, 0x8100]), 'ethernet')).toBe(REJECT.OK);
    const three = ethernet(packet, [0x8100, 0x8100, 0x8100]);
    expect(readAll(three, 'ethernet')).toBe(REJECT.NOT_IPV4);
  });

  test('a later fragment, another protocol and an echo are told apart and dropped', () => {
    const fragment = PACKETS[0]!.slice();
    fragment[7] = 1;
    const udp = PACKETS[0]!.slice();
    udp[9] = 17;
    const echo = PACKETS[2]!.slice();
    echo[20] = 8;
    expect(readAll(fragment, 'ip')).toBe(REJECT.FRAGMENT);
    expect(readAll(udp, 'ip')).toBe(REJECT.OTHER_PROTOCOL);
    expect(readAll(echo, 'ip')).toBe(REJECT.OTHER_PROTOCOL);
  });

  test('padding behind the packet is not part of it', () => {
    const padded = new Uint8Array(60);
    padded.set(resetTo(PROBE));
    padded[2] = 0;
    padded[3] = 30; // says it ends within the TCP header
    expect(readAll(padded, 'ip')).toBe(REJECT.TRUNCATED);
  });

  test('TCP options are read up to the first malformed one', () => {
    const options = new TcpOptions();
    const of = (octets: number[]) => {
      const packet = synAckTo(PROBE, octets);
      const views = new Dissection(new DataView(packet.buffer));
      expect(views.dissect('ip', packet.length)).toBe(REJECT.OK);
      options.read(views.tcp);
      return { ...options };
    };
    expect(of(OPTIONS)).toEqual({
      maximumSegment: 1460,
      windowScale: 7,
      sackPermitted: 1,
      timestampValue: 9,
      timestampEcho: 7,
    });
    expect(of([2, 4, 1, 0, 3, 0, 3, 7])).toMatchObject({ maximumSegment: 256, windowScale: -1 });
    expect(of([0, 0, 0, 0])).toMatchObject({ maximumSegment: -1 });
  });
});

describe('the checksum', () => {
  /** RFC 1071 §4.1, word by word, folding at each step. */
  const slow = (bytes: Uint8Array) => {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) {
      sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
      if (sum > 0xffff) sum -= 0xffff;
    }
    return ~sum & 0xffff;
  };

  test('is that of RFC 1071 for any octets, odd lengths included', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const view = new DataView(bytes.slice().buffer);
        expect(foldChecksum(sumWords(view, 0, bytes.length))).toBe(slow(bytes));
      }),
    );
  });
});
