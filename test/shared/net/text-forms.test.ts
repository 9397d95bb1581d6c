import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIpv4, parseIpv4 } from '../../../shared/net/address.js';
import { formatPorts, parsePorts } from '../../../shared/net/ports.js';
import { formatRange, parseRange } from '../../../shared/net/prefix.js';

describe('text forms', () => {
  test('of an address are read back as the same address', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (address) => {
        expect(parseIpv4(formatIpv4(address))).toBe(address);
      }),
    );
  });

  test('of a range are read back as the same range', () => {
    const address = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(address, address, (a, b) => {
        const range = { from: Math.min(a, b), to: Math.max(a, b) + 1 };
        expect(parseRange(formatRange(range))).toEqual(range);
      }),
    );
  });

  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.0-10.0.0.255', '10.0.0.0/24'],
    ['10.0.0.1 - 10.0.0.9', '10.0.0.1-10.0.0.9'],
  ])('such as %s are read as the range %s', (text, range) => {
    expect(formatRange(parseRange(text))).toBe(range);
  });

  test.each([
    '',
    '10',
    '10.0.0',
    '10.0.0.256',
    '01.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.9-10.0.0.1',
    '10.0.0.1-',
    'example.org',
    '::1',
    '1.2.3.4 5.6.7.8',
  ])('such as %j are refused, and the error names them', (text) => {
    expect(() => parseRange(text)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  test('of ports are sorted, joined and without duplicates', () => {
    expect(parsePorts('8000-8003, 80,443,80,8002')).toEqual([80, 443, 8000, 8001, 8002, 8003]);
    expect(formatPorts(parsePorts('443,80,81,82'))).toBe('80-82,443');
    expect(parsePorts('1-65535')).toHaveLength(65535);
  });

  test.each(['0', '65536', '70000', '', '80,', '9-1', 'http', '80-', '-80', '1e3', '80.5'])(
    'such as the port list %j are refused, and the error names them',
    (text) => {
      expect(() => parsePorts(text)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    },
  );
});
