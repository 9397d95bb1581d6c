import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSources } from '../../../shared/command/source-addresses.js';
import { cidrsOfAll } from '../../../shared/net/cidr.js';
import { formatWords, mappedWords } from '../../../shared/net/ipv6.js';
import { parsePrefix } from '../../../shared/net/prefix.js';

describe('prefixes of addresses', () => {
  test('contain exactly the addresses, in any order and however often they are given', () => {
    const address = fc.integer({ min: 0xc6120000, max: 0xc612003f });
    fc.assert(
      fc.property(fc.array(address, { maxLength: 80 }), (given) => {
        const prefixes = [...cidrsOfAll(given.map(mappedWords))].map(parsePrefix);
        const held = prefixes.flatMap(({ from, to }) =>
          Array.from({ length: to - from }, (_, i) => from + i),
        );
        expect(held).toEqual([...new Set(given)].sort((a, b) => a - b));
      }),
    );
  });

  test('are as few as possible, for either family', () => {
    expect([...cidrsOfAll(parseSources('198.18.0.0/24, 198.18.1.0-198.18.1.4').addresses)]).toEqual(
      ['198.18.0.0/24', '198.18.1.0/30', '198.18.1.4/32'],
    );
    expect([...cidrsOfAll(parseSources('2001:db8::10/124').addresses)]).toEqual([
      '2001:db8::10/124',
    ]);
  });
});

describe('our source addresses', () => {
  test.each([
    ['198.18.0.1', ['198.18.0.1']],
    ['198.18.0.1-198.18.0.3', ['198.18.0.1', '198.18.0.2', '198.18.0.3']],
    ['198.18.0.4/31,2001:db8::/127', ['198.18.0.4', '198.18.0.5', '2001:db8::', '2001:db8::1']],
    ['198.18.0.1, 198.18.0.1', ['198.18.0.1']],
  ])('%s are each listed once', (text, expected) => {
    const { addresses, window } = parseSources(text);
    expect(addresses.map(formatWords)).toEqual(expected);
    expect(window).toBeUndefined();
  });

  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['2001:db8::1,2001:db8:1::/64', '2001:db8::1,2001:db8:1::/64'],
    ['2001:db8:1::/64,2001:db8:2::/64', '2001:db8:1::/64,2001:db8:2::/64'],
    ['2001::/16', '2001::/16'],
    ['ff02::/64', 'ff02::/64'],
    ['::/64', '::/64'],
    ['fe80::/64', 'fe80::/64'],
    ['::ffff:0:0/96', '::ffff:0:0/96'],
    ['198.18.0.0/16,198.19.0.0/16', '198.18.0.0/16'],
    ['198.18.0.5-198.18.0.1', '198.18.0.5-198.18.0.1'],
    ['198.18.0.1,,198.18.0.2', ''],
    ['eth0', 'eth0'],
  ])('%s are refused, and the wrong part is named', (text, value) => {
    expect(() => parseSources(text)).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', details: expect.objectContaining({ value }) }),
    );
  });

  test('may be a whole IPv6 prefix, and addresses of IPv4', () => {
    const { addresses, window } = parseSources('198.18.0.1, 2001:db8:1:2:3::/64');
    expect(addresses.map(formatWords)).toEqual(['198.18.0.1', '2001:db8:1:2::']);
    expect(window).toEqual({ words: [0x20010db8, 0x00010002, 0, 0], length: 64 });
  });
});
