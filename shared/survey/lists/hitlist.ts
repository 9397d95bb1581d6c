/** Hitlists: one address of either family per line. Lines that cannot be read are counted, not fatal. */

import { parseIpv4 } from '../../net/address.js';
import { AddressScanner } from '../../net/address-scanner.js';
import { Target } from '../../net/endpoint.js';
import { parseIpv6 } from '../../net/ipv6.js';
import { RecordColumn } from '../../net/record-column.js';
import { skipLineEnd, skipSpaces } from './list-reader.js';
import { TolerantReader } from './tolerant-reader.js';

export class Hitlist {
  /** IPv4 addresses, host order. */
  readonly ipv4 = new RecordColumn(1);
  /** IPv6 addresses, each of four words. */
  readonly ipv6 = new RecordColumn(4);

  get size(): number {
    return this.ipv4.size + this.ipv6.size;
  }

  /** Adds an address of either family; IPv4 is mapped. */
  add(w0: number, w1: number, w2: number, w3: number): void {
    if (w0 === 0 && w1 === 0 && w2 === 0xffff) this.ipv4.push(w3);
    else this.ipv6.push(w0, w1, w2, w3);
  }
}

export class HitlistReader extends TolerantReader {
  readonly list = new Hitlist();
  readonly #scanner = new AddressScanner();

  protected override readUsual(octets: Uint8Array, from: number): number {
    const scanner = this.#scanner;
    const at = skipSpaces(octets, from);
    const address = scanner.readIpv4(octets, at);
    if (address >= 0) {
      const next = skipLineEnd(octets, scanner.end);
      if (next >= 0) this.list.ipv4.push(address);
      return next;
    }
    if (!scanner.readIpv6(octets, at)) return skipLineEnd(octets, at);
    const next = skipLineEnd(octets, scanner.end);
    if (next >= 0) this.list.add(scanner.w0, scanner.w1, scanner.w2, scanner.w3);
    return next;
  }

  protected override addText(text: string): void {
    const { w0, w1, w2, w3 } = parseAddress(text);
    this.list.add(w0, w1, w2, w3);
  }
}

/** A target of one address of either family, without a port. @throws Fault BAD_OPTION */
export function parseAddress(text: string): Target {
  const target = new Target();
  if (text.includes(':')) target.setWords(parseIpv6(text));
  else target.setIpv4(parseIpv4(text));
  return target;
}
