/**
 * Reads a list of ranges: `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `192.0.2.1`, `2001:db8::/32`, `2001:db8::1`. Several
 * items on a line are separated by commas, as masscan has them. An item that cannot be read is an error.
 */
import { Fault } from '../../base/faults.js';
import { AddressScanner } from '../../net/address-scanner.js';
import { ListReader, skipLineEnd, skipSpaces } from './list-reader.js';

const COMMA = ',';
const DASH = 0x2d;
const SLASH = 0x2f;
const ADDRESS_BITS = 128;

export abstract class RangeReader extends ListReader {
  protected readonly scanner = new AddressScanner();
  #length = 0;

  /** Adds an IPv4 range. */
  protected abstract addRange(first: number, last: number): void;

  /** Adds the IPv6 prefix at `scanner`. @returns false if it must be read as text */
  protected abstract addPrefix(length: number): boolean;

  /** Reads one item of any form. @throws Fault BAD_OPTION */
  protected abstract addText(item: string): void;

  protected override readText(text: string): void {
    for (const value of text.split(COMMA).map((each) => each.trim())) {
      try {
        this.addText(value);
      } catch (error) {
        const { file, line } = this;
        throw error instanceof Fault
          ? new Fault('BAD_LIST', error.message, { file, line, value }, error)
          : error;
      }
    }
  }

  protected override readUsual(octets: Uint8Array, from: number): number {
    const at = skipSpaces(octets, from);
    const first = this.scanner.readIpv4(octets, at);
    if (first >= 0) return this.#readRange(octets, this.scanner.end, first);
    if (this.scanner.readIpv6(octets, at)) return this.#readPrefix(octets, this.scanner.end);
    return skipLineEnd(octets, at);
  }

  #readRange(octets: Uint8Array, from: number, address: number): number {
    let at = from;
    let first = address;
    let last = address;
    if (octets[at] === SLASH) {
      at = this.#readLength(octets, at + 1, 2);
      if (at < 0 || this.#length > 32) return -1;
      const size = 2 ** (32 - this.#length);
      first = address - (address % size);
      last = first + size - 1;
    } else if (octets[at] === DASH) {
      last = this.scanner.readIpv4(octets, at + 1);
      if (last < first) return -1;
      at = this.scanner.end;
    }
    const next = skipLineEnd(octets, at);
    if (next >= 0) this.addRange(first, last);
    return next;
  }

  #readPrefix(octets: Uint8Array, from: number): number {
    let at = from;
    let length = ADDRESS_BITS;
    if (octets[at] === SLASH) {
      at = this.#readLength(octets, at + 1, 3);
      length = this.#length;
      if (at < 0 || length > ADDRESS_BITS) return -1;
    }
    const next = skipLineEnd(octets, at);
    return next >= 0 && this.addPrefix(length) ? next : -1;
  }

  /** Reads the length of a prefix. @returns the offset behind it; −1 if there is none with so few digits */
  #readLength(octets: Uint8Array, from: number, digitsMax: number): number {
    let at = from;
    let length = 0;
    for (;;) {
      const digit = (octets[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
      at++;
      if (at - from > digitsMax) return -1;
    }
    this.#length = length;
    return at === from ? -1 : at;
  }
}
