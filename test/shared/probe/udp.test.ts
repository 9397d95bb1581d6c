import { describe, expect, test } from 'vitest';
import { mappedWords } from '../../../shared/net/ipv6.js';
import { CookieMac, probeKey } from '../../../shared/probe/cookies.js';
import type { ProbeOptions } from '../../../shared/probe/probe.js';
import { parseOptions } from '../../../shared/probe/probe-options.js';
import { udp } from '../../../shared/probe/udp/udp.js';
import { answerTo, errorTo, KEY, probeOf, read } from '../../support/replies.js';

const PORTS = { from: 61000, to: 65096 };
const FLOW = {
  source: mappedWords(0x64400001),
  sourcePort: 61000,
  address: mappedWords(0xc6120203),
  port: 53,
};
const cookies = new CookieMac(probeKey(KEY, 0));

const optionsFor = (port: number, given: ProbeOptions) =>
  udp.optionsForPort!(port, parseOptions(udp, given));
const sentTo = (port: number, given: ProbeOptions = {}) =>
  probeOf({ ...FLOW, port }, KEY, given, udp, PORTS);
const readerOf = (port: number, given: ProbeOptions = {}, targetPorts = [port]) =>
  udp.replies({ options: optionsFor(port, given), ports: PORTS, targetPorts });

function classOf(port: number, packet: Uint8Array, given: ProbeOptions = {}): string | undefined {
  const reader = readerOf(port, given);
  const views = read(packet);
  const isReply =
    reader.validate(views, cookies) ||
    (reader.acceptsOtherPorts === true && reader.answersFromOtherPort?.(views, cookies) === true);
  return isReply ? udp.classes[reader.classify(views)]?.name : undefined;
}

describe('the UDP probe', () => {
  test('has the payload of its port, unless another is given by name or in hex', () => {
    expect(optionsFor(53, {})['payload']).toMatch(/^hex:\*\*\*\*0100/);
    expect(optionsFor(9, {})['payload']).toBe('hex:');
    expect(optionsFor(9, { payload: 'ntp' })['payload']).toMatch(/^hex:e3/);
    expect(optionsFor(53, { payload: 'empty' })['payload']).toBe('hex:');
    const own = optionsFor(53, { payload: 'hex:00ff**', echo: '2' });
    expect(own).toMatchObject({ payload: 'hex:00ff**', echo: '2' });
    expect(udp.octets(4, own)).toBe(20 + 8 + 3);
    expect(udp.octets(4, optionsFor(443, {}))).toBe(20 + 8 + 1200);
  });

  test.each([
    'hex:0',
    'hex:zz',
    'hex:**00**',
    'hex:**********',
    `hex:${'00'.repeat(1401)}`,
    'dsn',
    '@no-such-file',
  ])('refuses the payload %s', (payload) => {
    expect(() => parseOptions(udp, { payload })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    );
  });

  test('classifies a port unreachable error as closed if it comes from the target, and as filtered if it comes from a firewall', () => {
    const sent = sentTo(53);
    const own = errorTo(sent, { type: 3, code: 3, router: FLOW.address[3] });
    expect(classOf(53, own)).toBe('unreach');
    expect(classOf(53, errorTo(sent, { type: 3, code: 3 }))).toBe('icmp');
    expect(classOf(53, errorTo(sent, { type: 3, code: 13, router: FLOW.address[3] }))).toBe('icmp');
  });

  test('rejects an answer that does not echo the cookie of its payload', () => {
    const answer = answerTo(sentTo(53));
    expect(classOf(53, answer)).toBe('udp');
    answer[28] = (answer[28] as number) ^ 1;
    expect(classOf(53, answer)).toBeUndefined();
  });

  test('rejects an error whose quote reaches into the payload and differs from ours there', () => {
    const error = errorTo(sentTo(53), { quoted: 20 });
    expect(classOf(53, error)).toBe('icmp');
    error[28 + 28] = (error[28 + 28] as number) ^ 1;
    expect(classOf(53, error)).toBeUndefined();
  });

  test('recognises an answer from another port, and accepts it only with any-port=yes', () => {
    const answer = answerTo(sentTo(53));
    new DataView(answer.buffer).setUint16(20, 40_000);
    expect(classOf(53, answer)).toBeUndefined();
    expect(readerOf(53).answersFromOtherPort?.(read(answer), cookies)).toBe(true);
    expect(classOf(53, answer, { 'any-port': 'yes' })).toBe('udp');
    const views = read(answer);
    readerOf(53, { 'any-port': 'yes' }, [69, 53]).answersFromOtherPort?.(views, cookies);
    expect(views.flow.target.port).toBe(53);
    const tftp = answerTo(sentTo(69));
    new DataView(tftp.buffer).setUint16(20, 40_000);
    expect(classOf(69, tftp)).toBe('udp'); // RFC 1350 §4: the server chooses its port
  });

  test('recognises by its echo an answer from another address of the same /24, but not from outside that /24', () => {
    const answer = answerTo(sentTo(53));
    const from = (address: number) => {
      const moved = answer.slice();
      new DataView(moved.buffer).setUint32(12, address);
      return read(moved);
    };
    const probed = FLOW.address[3];
    const network = (probed & 0xffffff00) >>> 0;
    for (const host of [0, 1, 4, 255]) {
      const views = from(network + host);
      expect(readerOf(53).answersFromOtherAddress?.(views, cookies)).toBe(true);
      expect(views.flow.target.w3).toBe(probed);
    }
    const views = from(network + 256);
    expect(readerOf(53).answersFromOtherAddress?.(views, cookies)).toBe(false);
    expect(views.flow.target.w3).toBe(network + 256);
    answer[28] = (answer[28] as number) ^ 1;
    expect(readerOf(53).answersFromOtherAddress?.(from(network), cookies)).toBe(false);
    const options = ['yes', 'no'].map((any) => readerOf(53, { 'any-address': any }));
    expect(options.map(({ acceptsOtherAddresses }) => acceptsOtherAddresses)).toEqual([
      true,
      false,
    ]);
  });

  test('attributes no answer from another port if there are so many ports that it could match one by chance', () => {
    const ports = Array.from({ length: 256 }, (_, i) => i + 1000);
    const reader = readerOf(9, {}, ports);
    let claimed = 0;
    for (let i = 0; i < 2000; i++) {
      const answer = answerTo(sentTo(9));
      new DataView(answer.buffer).setUint16(22, PORTS.from + ((i * 7919) % 4096));
      const views = read(answer);
      if (reader.answersFromOtherPort?.(views, cookies)) claimed++;
      else expect(views.flow.target.port).toBe(9);
    }
    expect(claimed).toBe(0);
  });

  test.each([0, 1, 2, 3])('has a right checksum with a cookie at an offset of %i', (offset) => {
    for (const octets of [1, 2, 3, 4]) {
      const payload = `hex:${'ab'.repeat(offset)}${'**'.repeat(octets)}cd`;
      const sent = sentTo(9, { payload });
      expect(sumOf(sent), `${octets} octets`).toBe(0xffff);
    }
  });
});

/** The folded sum of a datagram with its pseudo-header (RFC 768): 0xffff if the checksum is right. */
function sumOf(packet: Uint8Array): number {
  const length = packet.length - 20;
  const octets = [
    ...packet.subarray(12, 20),
    0,
    17,
    length >> 8,
    length & 255,
    ...packet.subarray(20),
  ];
  if (octets.length % 2 === 1) octets.push(0);
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) {
    sum += ((octets[i] as number) << 8) | (octets[i + 1] as number);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
