import fc from 'fast-check';
import { IPv4, IPv6, Validator } from 'ip-num';
import { expect, test } from 'vitest';
import { AddressScanner } from '../../../shared/net/address-scanner.js';
import { anyAddress } from '../../support/list-texts.js';

const scanner = new AddressScanner();
const wholeOf = (text: string) => Buffer.from(`${text}\n`);

test('an IPv4 address that is read from octets is valid for ip-num, with the same value', () => {
  let accepted = 0;
  fc.assert(
    fc.property(anyAddress, (text) => {
      const octets = wholeOf(text);
      const address = scanner.readIpv4(octets, 0);
      if (address < 0 || scanner.end !== octets.length - 1) return;
      accepted++;
      expect(Validator.isValidIPv4String(text)[0]).toBe(true);
      expect(address).toBe(Number(new IPv4(text).getValue()));
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(1000);
});

test('an IPv6 address that is read from octets is valid for ip-num, with the same value', () => {
  let accepted = 0;
  fc.assert(
    fc.property(anyAddress, (text) => {
      const octets = wholeOf(text);
      if (!scanner.readIpv6(octets, 0) || scanner.end !== octets.length - 1) return;
      accepted++;
      expect(Validator.isValidIPv6String(text)[0], text).toBe(true);
      const words = [scanner.w0, scanner.w1, scanner.w2, scanner.w3];
      const value = words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
      expect(value).toBe(new IPv6(text).getValue());
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(1000);
});
