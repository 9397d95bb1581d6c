import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Target } from '../../../shared/net/target.js';
import { CLASSIFICATION } from '../../../shared/probe/classification.js';
import { CookieJar } from '../../../shared/probe/cookies.js';
import { SipHash } from '../../../shared/probe/siphash.js';
import { tcpSyn } from '../../../shared/probe/tcp-syn.js';
import {
  errorTo,
  FLOW,
  KEY,
  probeOf,
  read,
  resetTo,
  segmentTo,
  synAckTo,
} from '../../support/replies.js';

const PROBE = probeOf(FLOW);
const cookies = new CookieJar(KEY);

function verdictOn(reply: Uint8Array, jar = cookies): { code: number; target: Target } | undefined {
  const target = new Target();
  const dissection = read(reply);
  if (!tcpSyn.recognise(dissection, jar, target)) return undefined;
  return { code: tcpSyn.classify(dissection), target };
}

const PROBED = Target.ipv4(FLOW.address, FLOW.port);

describe('a TCP SYN probe', () => {
  test('takes a SYN-ACK of cookie + 1 for open', () => {
    expect(verdictOn(synAckTo(PROBE))).toEqual({ code: CLASSIFICATION.SYNACK, target: PROBED });
  });

  test('takes a reset of cookie or cookie + 1 for closed', () => {
    const closed = { code: CLASSIFICATION.RST, target: PROBED };
    expect(verdictOn(resetTo(PROBE, 1))).toEqual(closed);
    expect(verdictOn(resetTo(PROBE, 0))).toEqual(closed);
    expect(verdictOn(resetTo(PROBE, 2))).toBeUndefined();
  });

  test('takes an ICMP error that quotes only eight octets of it, and names what was probed', () => {
    const code = CLASSIFICATION.ICMP;
    expect(verdictOn(errorTo(PROBE, { quoted: 8 }))).toEqual({ code, target: PROBED });
    expect(verdictOn(errorTo(PROBE, { quoted: 24, type: 11, code: 0 }))?.code).toBe(code);
  });

  test('does not take a reply with another cookie, key, port or address for its own', () => {
    expect(verdictOn(segmentTo(PROBE, 0x12, 0))).toBeUndefined();
    expect(verdictOn(segmentTo(PROBE, 0x12, 2))).toBeUndefined();
    expect(verdictOn(segmentTo(PROBE, 0x10, 1))).toBeUndefined();
    expect(verdictOn(segmentTo(PROBE, 0x02, 1))).toBeUndefined();
    expect(verdictOn(synAckTo(PROBE), new CookieJar(new Uint8Array(16)))).toBeUndefined();
    for (const field of [12, 15, 16, 19, 20, 21, 22, 23, 28, 31]) {
      const forged = synAckTo(PROBE);
      forged[field] = (forged[field] as number) ^ 1;
      expect(verdictOn(forged), `octet ${field}`).toBeUndefined();
    }
    for (const field of [28 + 12, 28 + 16, 28 + 20, 28 + 22, 28 + 24, 28 + 27]) {
      const forged = errorTo(PROBE);
      forged[field] = (forged[field] as number) ^ 1;
      expect(verdictOn(forged), `octet ${field}`).toBeUndefined();
    }
  });

  test('spreads over all its source ports, the same one for a target each time', () => {
    const used = new Set<number>();
    for (let i = 0; i < 5000; i++) {
      const choice = cookies.sourcePortChoice(FLOW.address + i, 443, 64);
      expect(choice).toBe(cookies.sourcePortChoice(FLOW.address + i, 443, 64));
      used.add(choice);
    }
    expect([...used].sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });

  test('has options that are checked by name and value', () => {
    expect(tcpSyn.parseOptions({})).toEqual({ ttl: 64 });
    expect(read(probeOf(FLOW, KEY, 7)).ip.timeToLive).toBe(7);
    for (const bad of [{ ttl: 0 }, { ttl: 256 }, { ttl: 1.5 }, { mss: 1460 }]) {
      expect(() => tcpSyn.parseOptions(bad)).toThrow(
        expect.objectContaining({ code: 'BAD_OPTION' }),
      );
    }
  });
});

describe('SipHash-2-4', () => {
  const MASK = (1n << 64n) - 1n;
  const rotl = (x: bigint, n: bigint) => ((x << n) | (x >> (64n - n))) & MASK;
  /** The paper's algorithm for any message, in BigInt. */
  const slow = (key: Uint8Array, message: Uint8Array): bigint => {
    const word = (bytes: Uint8Array, at: number) =>
      new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
    const [k0, k1] = [word(key, 0), word(key, 8)];
    let v0 = k0 ^ 0x736f6d6570736575n;
    let v1 = k1 ^ 0x646f72616e646f6dn;
    let v2 = k0 ^ 0x6c7967656e657261n;
    let v3 = k1 ^ 0x7465646279746573n;
    const round = () => {
      v0 = (v0 + v1) & MASK;
      v1 = rotl(v1, 13n) ^ v0;
      v0 = rotl(v0, 32n);
      v2 = (v2 + v3) & MASK;
      v3 = rotl(v3, 16n) ^ v2;
      v0 = (v0 + v3) & MASK;
      v3 = rotl(v3, 21n) ^ v0;
      v2 = (v2 + v1) & MASK;
      v1 = rotl(v1, 17n) ^ v2;
      v2 = rotl(v2, 32n);
    };
    const padded = new Uint8Array(Math.ceil((message.length + 1) / 8) * 8);
    padded.set(message);
    padded[padded.length - 1] = message.length & 255;
    for (let at = 0; at < padded.length; at += 8) {
      v3 ^= word(padded, at);
      round();
      round();
      v0 ^= word(padded, at);
    }
    v2 ^= 0xffn;
    for (let i = 0; i < 4; i++) round();
    return v0 ^ v1 ^ v2 ^ v3;
  };

  test('is what the paper’s test vector says (appendix A), for the oracle', () => {
    const message = Uint8Array.from({ length: 15 }, (_, i) => i);
    expect(slow(KEY, message)).toBe(0xa129ca6149be45e5n);
  });

  test('is the oracle’s for every twelve octets and key', () => {
    const octets = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
    fc.assert(
      fc.property(octets(16), octets(12), (key, message) => {
        const words = new DataView(message.slice().buffer);
        const hash = new SipHash(key);
        hash.hash(words.getInt32(0, true), words.getInt32(4, true), words.getInt32(8, true));
        const ours = (BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0);
        expect(ours).toBe(slow(key, message));
      }),
      { numRuns: 2000 },
    );
  });
});
