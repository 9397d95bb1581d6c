import { describe, expect, test } from 'vitest';
import { Endpoint, Target } from '../../../shared/net/endpoint.js';
import { formatAddress, hasPrefix } from '../../../shared/net/ipv6.js';
import { CookieMac, probeKey } from '../../../shared/probe/cookies.js';
import type { ProbeOptions } from '../../../shared/probe/probe.js';
import { ProbeBatch } from '../../../shared/probe/probe-batch.js';
import { parseOptions } from '../../../shared/probe/probe-options.js';
import { tcpSyn } from '../../../shared/probe/tcp/tcp-syn.js';
import {
  errorTo,
  FLOW,
  FLOW_V6,
  KEY,
  probeOf,
  read,
  resetTo,
  segmentTo,
  synAckTo,
} from '../../support/replies.js';
import { CODE } from '../../support/tcp-syn-set.js';

const cookies = new CookieMac(probeKey(KEY, 0));
const OPTIONS = parseOptions(tcpSyn, {});
const PORTS = { from: 61000, to: 61064 };
const replies = tcpSyn.replies({
  options: OPTIONS,
  ports: { from: 0, to: 1 },
  targetPorts: [],
});

function verdictOn(reply: Uint8Array, jar = cookies): { code: number; target: Target } | undefined {
  const dissection = read(reply);
  if (!replies.validate(dissection, jar)) return undefined;
  return { code: replies.classify(dissection) + 1, target: dissection.flow.target };
}

/** Octets of the IP header, and the offsets in it at which the source and the destination address end. */
const FAMILIES = [
  { family: 4, flow: FLOW, head: 20, source: 15, destination: 19 },
  { family: 6, flow: FLOW_V6, head: 40, source: 23, destination: 39 },
] as const;

describe.each(FAMILIES)(
  'a TCP SYN probe over IPv$family',
  ({ flow, head, source, destination }) => {
    const PROBE = probeOf(flow);
    const PROBED = new Target();
    PROBED.setWords(flow.address);
    PROBED.port = flow.port;

    test('classifies a SYN-ACK that acknowledges cookie + 1 as open', () => {
      expect(verdictOn(synAckTo(PROBE))).toEqual({ code: CODE.SYNACK, target: PROBED });
    });

    test('classifies a reset that acknowledges cookie or cookie + 1 as closed', () => {
      const closed = { code: CODE.RST, target: PROBED };
      expect(verdictOn(resetTo(PROBE, 1))).toEqual(closed);
      expect(verdictOn(resetTo(PROBE, 0))).toEqual(closed);
      expect(verdictOn(resetTo(PROBE, 2))).toBeUndefined();
    });

    test('accepts an ICMP error that quotes only eight octets of its segment, and finds the target', () => {
      const code = CODE.ICMP;
      expect(verdictOn(errorTo(PROBE, { quoted: 8 }))).toEqual({ code, target: PROBED });
      const expired = { quoted: 24, type: head === 20 ? 11 : 3, code: 0 };
      expect(verdictOn(errorTo(PROBE, expired))?.code).toBe(code);
    });

    test('rejects a reply with another cookie, key, port or address', () => {
      expect(verdictOn(segmentTo(PROBE, 0x12, 0))).toBeUndefined();
      expect(verdictOn(segmentTo(PROBE, 0x12, 2))).toBeUndefined();
      expect(verdictOn(segmentTo(PROBE, 0x10, 1))).toBeUndefined();
      expect(verdictOn(segmentTo(PROBE, 0x02, 1))).toBeUndefined();
      expect(verdictOn(synAckTo(PROBE), new CookieMac(new Uint8Array(16)))).toBeUndefined();
      const addresses = [source - 3, source, destination - 3, destination];
      for (const field of [...addresses, ...[0, 1, 2, 3, 8, 11].map((at) => head + at)]) {
        const forged = synAckTo(PROBE);
        forged[field] = (forged[field] as number) ^ 1;
        expect(verdictOn(forged), `octet ${field}`).toBeUndefined();
      }
      const quote = head + 8;
      for (const field of [source, destination, ...[0, 2, 4, 7].map((at) => head + at)]) {
        const forged = errorTo(PROBE);
        forged[quote + field] = (forged[quote + field] as number) ^ 1;
        expect(verdictOn(forged), `octet ${quote + field}`).toBeUndefined();
      }
    });
  },
);

describe('a TCP SYN probe', () => {
  test('uses all its source ports and addresses, and for one target the same ones each time', () => {
    const sources = [1, 2, 3].map((last) => Object.assign(new Endpoint(), { w3: last }));
    const choose = () => {
      const batch = new ProbeBatch(5000);
      for (let i = 0; i < 5000; i++) batch.add(Target.ipv4(0xc6120000 + i, 443));
      cookies.choose(batch, sources, { from: 61000, to: 61064 });
      const rows = Array.from(batch.ports, (ports, i) => `${batch.sourceW3[i]}:${ports >>> 16}`);
      return rows.slice(0, 5000);
    };
    const chosen = choose();
    expect(choose()).toEqual(chosen);
    expect(new Set(chosen).size).toBe(3 * 64);
  });

  test.each([48, 64, 72, 96, 112])(
    'uses all of a source window of %i bits, for one target the same address each time',
    (length) => {
      const window = { words: [0x20010db8, 0x00050006, 0, 0] as const, length };
      const base = Object.assign(new Endpoint(), { w0: 0x20010db8, w1: 0x00050006, w2: 0 });
      const addresses = () => {
        const batch = new ProbeBatch(2000);
        for (let i = 0; i < 2000; i++) {
          const target = new Target();
          target.setWords([0x20010db8, 0x42, 0, i]);
          target.port = 443;
          batch.add(target);
        }
        const octets = tcpSyn.octets(6, OPTIONS);
        const view = new DataView(new ArrayBuffer(2000 * octets));
        const packets = tcpSyn.packets(view, 6, {
          options: OPTIONS,
          ports: PORTS,
          targetPorts: [],
        });
        for (let i = 0; i < 2000; i++) {
          packets.layOut(i * octets);
          batch.packetAt[i] = i * octets;
        }
        cookies.choose(batch, [base], PORTS);
        cookies.chooseHosts(batch, window);
        cookies.computeIpv6(batch, [base], true);
        packets.make(batch, [base], 0);
        return Array.from({ length: 2000 }, (_, i) => {
          const packet = new Uint8Array(view.buffer, i * octets, octets);
          // The cookie covers our source address, so a reply is valid only at the address that the packet has.
          expect(verdictOn(synAckTo(packet))?.code).toBe(CODE.SYNACK);
          const { flow } = read(packet);
          expect(hasPrefix(flow.target.words, window)).toBe(true);
          return formatAddress(flow.target);
        });
      };
      const chosen = addresses();
      expect(addresses()).toEqual(chosen);
      const most = Math.min(2000, 2 ** (128 - length));
      expect(new Set(chosen).size).toBeGreaterThan(most * (length === 112 ? 0.9 : 0.999));
    },
  );

  test('has options that are checked by name and value', () => {
    expect(parseOptions(tcpSyn, {})).toEqual({ layout: 'mss', ttl: '64' });
    const bad: ProbeOptions[] = [
      ...['0', '256', '1.5', 'x'].map((ttl) => ({ ttl })),
      { layout: 'minix' },
      { mss: '1460' },
    ];
    for (const options of bad) {
      expect(() => parseOptions(tcpSyn, options)).toThrow(
        expect.objectContaining({ code: 'BAD_OPTION' }),
      );
    }
  });
});
