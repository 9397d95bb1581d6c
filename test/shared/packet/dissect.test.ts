import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldChecksum, sumWords } from '../../../shared/packet/checksum.js';
import { Dissection, type LinkLayer, REJECT } from '../../../shared/packet/dissect.js';
import { formatLayout, TcpOptions } from '../../../shared/packet/tcp.js';
import { icmpEcho } from '../../../shared/probe/icmp/icmp-echo.js';
import { icmpTimestamp } from '../../../shared/probe/icmp/icmp-timestamp.js';
import { sctpInit } from '../../../shared/probe/sctp/sctp-init.js';
import { udp } from '../../../shared/probe/udp/udp.js';
import {
  answerTo,
  errorTo,
  FLOW,
  FLOW_V6,
  KEY,
  probeOf,
  resetTo,
  synAckTo,
} from '../../support/replies.js';

const PROBE = probeOf(FLOW);
const OPTIONS = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7, 1, 3, 3, 7];
/** Replies to the probes of other transports. */
const OTHERS = [icmpEcho, icmpTimestamp, udp, sctpInit].flatMap((probe) => {
  const sent = probeOf(FLOW, KEY, {}, probe);
  return [answerTo(sent), errorTo(sent), errorTo(sent, { quoted: 24 })];
});
const PACKETS = [
  synAckTo(PROBE, OPTIONS),
  resetTo(PROBE),
  errorTo(PROBE),
  errorTo(PROBE, { quoted: 24 }),
];
const PROBE_V6 = probeOf(FLOW_V6);
const PACKETS_V6 = [synAckTo(PROBE_V6, OPTIONS), resetTo(PROBE_V6), errorTo(PROBE_V6)];
const ALL_PACKETS = [...PACKETS, ...PACKETS_V6, ...OTHERS];

/** An IPv6 packet with extension headers before its payload. */
function extended(packet: Uint8Array, headers: readonly (readonly number[])[]): Uint8Array {
  const types = headers.map(([type]) => type as number);
  const next = [...types.slice(1), packet[6] as number];
  const octets = headers.flatMap(([, ...rest], i) => [next[i] as number, ...rest]);
  const bytes = Uint8Array.from([...packet.subarray(0, 40), ...octets, ...packet.subarray(40)]);
  bytes[6] = types[0] as number;
  new DataView(bytes.buffer).setUint16(4, bytes.length - 40);
  return bytes;
}
const HOP_BY_HOP = [0, 0, 1, 4, 0, 0, 0, 0];
const DESTINATION = [60, 1, ...new Array(14).fill(0)];
const FIRST_FRAGMENT = [44, 0, 0, 1, 1, 2, 3, 4];
const LATER_FRAGMENT = [44, 0, 0, 9, 1, 2, 3, 4];

/** Dissects a frame that ends exactly at the end of its buffer, and reads all fields. */
function readAll(frame: Uint8Array, link: LinkLayer): number {
  const exact = frame.slice();
  const views = new Dissection(new DataView(exact.buffer));
  const verdict = views.dissect(link, 0, exact.length);
  if (verdict !== REJECT.OK) return verdict;
  const { tcp, udp, sctp, icmp, quotedTcp, quotedIcmp, quotedSctp, flow, responder } = views;
  const seen = [...flow.source.words, ...flow.target.words, ...responder.words];
  seen.push(views.timeToLive, views.identification, flow.source.port, flow.target.port);
  seen.push(views.typeOfService, views.protocol, Number(views.isUnfragmentable));
  if (views.isError) {
    seen.push(icmp.type, icmp.code, quotedTcp.sequence);
    seen.push(quotedIcmp.identifiers, quotedSctp.verificationTag);
  } else if (views.isTcp) {
    const options = new TcpOptions();
    options.read(tcp);
    seen.push(tcp.sourcePort, tcp.sequence, tcp.acknowledgment, tcp.window, tcp.flags);
    seen.push(options.maximumSegment, options.timestampEcho, options.layout);
  } else if (views.protocol === 17) seen.push(udp.length, views.responderPort);
  else if (views.protocol === 132) seen.push(sctp.verificationTag, sctp.chunkType);
  else seen.push(icmp.type, icmp.identifiers);
  expect(seen.every(Number.isInteger)).toBe(true);
  return verdict;
}

const ethernet = (packet: Uint8Array, tags: readonly number[] = []) => {
  const type = (packet[0] ?? 0) >>> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00];
  const types = [...tags.flatMap((tag) => [tag >>> 8, tag & 255, 0, 5]), ...type];
  return Uint8Array.from([...new Array(12).fill(2), ...types, ...packet]);
};

describe('dissecting', () => {
  test('a frame cut anywhere never reads past its end', () => {
    for (const packet of ALL_PACKETS) {
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
      packet: fc.constantFrom(...ALL_PACKETS, ...PACKETS_V6.map((p) => extended(p, [HOP_BY_HOP]))),
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

  test('random octets never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
        readAll(bytes, 'ip');
        readAll(bytes, 'ethernet');
      }),
      { numRuns: 20_000 },
    );
  });

  test('reads a frame with one or two VLAN tags, but not with three', () => {
    const packet = PACKETS[0]!;
    expect(readAll(ethernet(packet, [0x8100]), 'ethernet')).toBe(REJECT.OK);
    expect(readAll(ethernet(packet, [0x88a8, 0x8100]), 'ethernet')).toBe(REJECT.OK);
    const three = ethernet(packet, [0x8100, 0x8100, 0x8100]);
    expect(readAll(three, 'ethernet')).toBe(REJECT.NOT_IP);
  });

  test('rejects later fragments, unknown transports and echo requests, each with its reason', () => {
    const fragment = PACKETS[0]!.slice();
    fragment[7] = 1;
    const gre = PACKETS[0]!.slice();
    gre[9] = 47;
    const echo = PACKETS[2]!.slice();
    echo[20] = 8;
    expect(readAll(fragment, 'ip')).toBe(REJECT.FRAGMENT);
    expect(readAll(gre, 'ip')).toBe(REJECT.OTHER_PROTOCOL);
    expect(readAll(echo, 'ip')).toBe(REJECT.OTHER_PROTOCOL);
  });

  test('skips IPv6 extension headers, and recognises a later fragment', () => {
    for (const packet of PACKETS_V6) {
      const all = [HOP_BY_HOP, DESTINATION, FIRST_FRAGMENT];
      for (const headers of [[HOP_BY_HOP], [DESTINATION], [FIRST_FRAGMENT], all]) {
        const frame = extended(packet, headers);
        expect(readAll(frame, 'ip')).toBe(REJECT.OK);
        for (let length = 0; length < frame.length; length++) {
          readAll(frame.subarray(0, length), 'ip');
        }
      }
      expect(readAll(extended(packet, [LATER_FRAGMENT]), 'ip')).toBe(REJECT.FRAGMENT);
      const many = new Array(9).fill(DESTINATION);
      expect(readAll(extended(packet, many), 'ip')).toBe(REJECT.TRUNCATED);
    }
  });

  test('rejects IPv6 neighbour messages and echo requests as another protocol', () => {
    for (const type of [128, 133, 135, 136, 143]) {
      const message = PACKETS_V6[2]!.slice();
      message[40] = type;
      expect(readAll(message, 'ip')).toBe(REJECT.OTHER_PROTOCOL);
    }
  });

  test('reports a datagram whose length is below that of its header as malformed', () => {
    const datagram = answerTo(probeOf(FLOW, KEY, {}, udp));
    expect(readAll(datagram, 'ip')).toBe(REJECT.OK);
    new DataView(datagram.buffer).setUint16(24, 7);
    expect(readAll(datagram, 'ip')).toBe(REJECT.MALFORMED);
  });

  test('does not read padding after a packet as part of it', () => {
    const padded = new Uint8Array(60);
    padded.set(resetTo(PROBE));
    padded[2] = 0;
    padded[3] = 30; // claims to end within the TCP header
    expect(readAll(padded, 'ip')).toBe(REJECT.TRUNCATED);
  });

  test('reads TCP options up to the first malformed one', () => {
    const options = new TcpOptions();
    const of = (octets: number[]) => {
      const packet = synAckTo(PROBE, octets);
      const views = new Dissection(new DataView(packet.buffer));
      expect(views.dissect('ip', 0, packet.length)).toBe(REJECT.OK);
      options.read(views.tcp);
      return { ...options };
    };
    expect(formatLayout(of(OPTIONS).layout)).toBe('mss,sok,ts,nop,ws');
    expect(of(OPTIONS)).toMatchObject({
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
