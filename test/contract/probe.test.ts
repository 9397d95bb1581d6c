/** The contract of every probe: it sends valid packets, and accepts replies to them and nothing else. */
import { describe, expect, test } from 'vitest';
import { Fault } from '../../shared/base/faults.js';
import { mappedWords, parseWords } from '../../shared/net/ipv6.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import type { Family, PacketProbe } from '../../shared/probe/probe.js';
import { parseOptions } from '../../shared/probe/probe-options.js';
import { PROBES } from '../../shared/probe/probe-registry.js';
import { UDP_PAYLOADS } from '../../shared/probe/udp/udp-payloads.js';
import { forgeriesAccepted, forgeriesAllowed, SOURCE_PORTS } from '../support/forged-replies.js';
import { hostReplyTo } from '../support/reference-host.js';
import { errorTo, KEY, type PlainFlow, probeOf, read, STAMP } from '../support/replies.js';
import { tsharkFieldsOf } from '../support/tshark.js';

const PORTS = SOURCE_PORTS;
const cookies = new CookieMac(probeKey(KEY, 0));
const otherCookies = new CookieMac(probeKey(KEY, 1));
const FLOWS: Record<Family, PlainFlow> = {
  4: {
    source: mappedWords(0x64400001),
    sourcePort: 61000,
    address: mappedWords(0xc6120203),
    port: 53,
  },
  6: {
    source: parseWords('2001:db8::1'),
    sourcePort: 61000,
    address: parseWords('2001:db8:42::7'),
    port: 53,
  },
};

const PACKET_PROBES = PROBES.flatMap((probe) => (probe.kind === 'packet' ? [probe] : []));
const CASES = PACKET_PROBES.flatMap((probe) =>
  probe.families.map((family) => ({ name: probe.name, family, probe })),
);

function flowOf(family: Family, probe: PacketProbe, port = 53): PlainFlow {
  return { ...FLOWS[family], port: probe.hasPorts ? port : 0 };
}

function readerOf(probe: PacketProbe, port = 53) {
  const parsed = parseOptions(probe, {});
  return probe.replies({
    options: probe.optionsForPort?.(port, parsed) ?? parsed,
    ports: PORTS,
    targetPorts: [],
  });
}

/** The class of a packet by name; undefined if it is no reply. */
function classOf(
  probe: PacketProbe,
  packet: Uint8Array,
  jar = cookies,
  port = 53,
): string | undefined {
  const views = read(packet);
  const reader = readerOf(probe, port);
  const [v4, v6] = ([4, 6] as const).map((family) => probe.protocol(family));
  if (views.protocol !== (views.isIpv6 ? v6 : v4)) return undefined;
  if (!reader.validate(views, jar)) return undefined;
  return probe.classes[reader.classify(views)]?.name;
}

describe('the probes together', () => {
  test('have distinct names, distinct ranks and options within each probe, and the same rank for a class in all probes', () => {
    expect(new Set(PROBES.map(({ name }) => name)).size).toBe(PROBES.length);
    const ranks = new Map<string, number>();
    for (const { classes, options } of PROBES) {
      expect(new Set(classes.map(({ rank }) => rank)).size).toBe(classes.length);
      expect(new Set(options.map(({ name }) => name)).size).toBe(options.length);
      for (const { name, rank } of classes) {
        expect(ranks.get(name) ?? rank).toBe(rank);
        ranks.set(name, rank);
      }
    }
  });
});

describe.each(CASES)('$name over IPv$family', ({ probe, family }) => {
  const flow = flowOf(family, probe);
  const sent = probeOf(flow, KEY, {}, probe, PORTS);
  const reader = readerOf(probe);

  test('sends packets that tshark finds whole, with the right checksums', () => {
    const packets = Array.from({ length: 64 }, (_, i) => {
      const port = probe.hasPorts ? [53, 443, 161, 123, 1 + i * 1000][i % 5]! : 0;
      return probeOf({ ...flow, port, sourcePort: 1024 + i }, KEY, {}, probe);
    });
    const names = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status'] as const;
    const more = [
      'icmp.checksum.status',
      'icmpv6.checksum.status',
      'sctp.checksum.status',
    ] as const;
    const fields = tsharkFieldsOf(packets, [...names, ...more, '_ws.malformed']);
    expect(fields).toHaveLength(packets.length);
    for (const { '_ws.malformed': malformed, ...statuses } of fields) {
      expect(malformed).toEqual(['']);
      const known = Object.values(statuses)
        .flat()
        .filter((status) => status !== '');
      expect(known).toEqual(family === 4 ? ['1', '1'] : ['1']);
    }
  });

  test.each(['open', 'closed'] as const)(
    'classifies the reply of a host whose port is %s',
    (state) => {
      const reply = hostReplyTo(sent, state);
      const name = reply && classOf(probe, reply);
      const expected = EXPECTED[probe.name]!;
      expect(name).toBe(expected[state]);
      if (reply !== undefined && name !== undefined) {
        const { flow: found } = read(reply);
        expect([found.target.words, found.target.port]).toEqual([flow.address, flow.port]);
        expect(classOf(probe, reply, otherCookies)).toBeUndefined();
      }
    },
  );

  test('classifies a router’s errors that quote eight octets of the probe’s IP payload, or all of it', () => {
    for (const quoted of [8, 12, sent.length - (family === 4 ? 20 : 40)]) {
      const error = errorTo(sent, { quoted });
      expect(classOf(probe, error), `${quoted} octets`).toBe('icmp');
      const views = read(error);
      expect([views.flow.target.words, views.flow.target.port]).toEqual([flow.address, flow.port]);
    }
  });

  test('reads errors of every ICMP type, also with IP options, extension headers or padding', () => {
    const types = family === 4 ? [3, 4, 5, 11, 12] : [1, 2, 3, 4];
    for (const type of types) {
      const error = errorTo(sent, { type, code: 0, quoted: 8 });
      const padded = new Uint8Array(error.length + 7);
      padded.set(error);
      for (const packet of [error, padded, lengthened(error)]) {
        expect(classOf(probe, packet), `type ${type}`).toBe('icmp');
      }
    }
  });

  test('rejects its own packet, and any reply with another address, port or cookie', () => {
    expect(classOf(probe, sent)).toBeUndefined();
    for (const state of ['open', 'closed'] as const) {
      const reply = hostReplyTo(sent, state);
      if (reply === undefined || classOf(probe, reply) === undefined) continue;
      const at = family === 4 ? [12, 15, 16, 19] : [8, 23, 24, 39];
      // An error may come from any router.
      for (const octet of read(reply).isError ? [] : at) {
        expect(classOf(probe, flipped(reply, octet)), `${octet}`).toBeUndefined();
      }
      const error = errorTo(sent, { quoted: 12 });
      const quote = family === 4 ? 28 : 48;
      for (const octet of at) {
        expect(classOf(probe, flipped(error, quote + octet)), `quoted ${octet}`).toBeUndefined();
      }
    }
  });

  test('accepts no more forged replies and errors than can match its cookie by chance', () => {
    const count = 20_000;
    for (const packet of [hostReplyTo(sent, 'open'), hostReplyTo(sent, 'closed'), errorTo(sent)]) {
      if (packet === undefined || classOf(probe, packet) === undefined) continue;
      const accepted = forgeriesAccepted(probe, reader, cookies, packet, count);
      const { isError } = read(packet);
      expect(accepted).toBeLessThanOrEqual(forgeriesAllowed(probe, isError, count));
    }
  });

  test('refuses a bad option value or an unknown option, with an error that names it', () => {
    for (const { name, fallback } of probe.options) {
      expect(parseOptions(probe, { [name]: fallback })[name]).toBe(fallback);
      const parsing = () => parseOptions(probe, { [name]: 'no such value' });
      expect(parsing).toThrow(Fault);
      expect(parsing).toThrow(
        expect.objectContaining({
          code: 'BAD_OPTION',
          details: expect.objectContaining({ value: `${probe.name}:${name}=no such value` }),
        }),
      );
    }
    expect(() => parseOptions(probe, { nope: '1' })).toThrow(/has no such option; it has:/);
  });

  test('finds the echoed clock in each reply that contains one', () => {
    const reply = hostReplyTo(sent, 'open');
    if (reply === undefined || !reader.validate(read(reply), cookies)) return;
    const views = read(reply);
    if (views.isTcp) views.tcpOptions.read(views.tcp);
    expect([-1, STAMP]).toContain(reader.echoedStamp(views));
    expect(reader.echoedStamp(read(errorTo(sent)))).toBe(-1);
  });
});

/**
 * For each probe, the classes of the replies from an open and from a closed port of a host that follows RFC
 * 9293, RFC 792, RFC 1122 and RFC 9260; undefined if it does not reply.
 */
const EXPECTED: Record<string, { open: string | undefined; closed: string | undefined }> = {
  'tcp-syn': { open: 'synack', closed: 'rst' },
  'tcp-ack': { open: 'rst', closed: 'rst' },
  'tcp-fin': { open: undefined, closed: 'rst' },
  'tcp-null': { open: undefined, closed: 'rst' },
  'tcp-xmas': { open: undefined, closed: 'rst' },
  'tcp-window': { open: 'rst', closed: 'rst' },
  'tcp-maimon': { open: 'rst', closed: 'rst' },
  'icmp-echo': { open: 'echoreply', closed: 'echoreply' },
  'icmp-timestamp': { open: 'timestampreply', closed: 'timestampreply' },
  udp: { open: 'udp', closed: 'unreach' },
  'sctp-init': { open: 'initack', closed: 'abort' },
};

describe('the payloads of the UDP probe', () => {
  test.each(UDP_PAYLOADS.map((payload) => [payload.name, payload] as const))(
    '%s is whole for tshark, and its cookie is echoed where it says',
    (_name, { ports, hex, echo }) => {
      const probe = PACKET_PROBES.find(({ name }) => name === 'udp')!;
      const [port = 0] = ports;
      const flow = { ...FLOWS[4], port };
      const sent = probeOf(flow, KEY, {}, probe);
      const names = ['_ws.malformed', '_ws.expert.severity', 'udp.checksum.status'] as const;
      const [fields] = tsharkFieldsOf([sent], names);
      expect(fields!['_ws.malformed']).toEqual(['']);
      expect(fields!['udp.checksum.status']).toEqual(['1']);
      expect(echo === undefined || hex.includes('**')).toBe(true);
    },
  );

  test('include at most one for each port', () => {
    const ports = UDP_PAYLOADS.flatMap((payload) => payload.ports);
    expect(new Set(ports).size).toBe(ports.length);
  });
});

function flipped(packet: Uint8Array, at: number): Uint8Array {
  const copy = packet.slice();
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

/** The packet, lengthened by eight octets: IP options for IPv4, a destination options header for IPv6. */
function lengthened(packet: Uint8Array): Uint8Array {
  const isIpv6 = (packet[0] as number) >>> 4 === 6;
  const head = isIpv6 ? 40 : 20;
  const bytes = new Uint8Array(packet.length + 8);
  bytes.set(packet.subarray(0, head));
  bytes.set(packet.subarray(head), head + 8);
  const view = new DataView(bytes.buffer);
  if (isIpv6) {
    bytes.set([packet[6] as number, 0, 1, 4, 0, 0, 0, 0], 40);
    bytes[6] = 60;
    view.setUint16(4, bytes.length - 40);
  } else {
    bytes[0] = 0x47;
    bytes.set([1, 1, 1, 1, 1, 1, 1, 0], 20);
    view.setUint16(2, bytes.length);
  }
  return bytes;
}
