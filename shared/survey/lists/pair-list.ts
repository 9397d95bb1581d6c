/**
 * Lists of (address, port) pairs, one per line: `192.0.2.1:80`, `[2001:db8::1]:443` or `ADDRESS,PORT`. An IPv6
 * address with a port but without brackets would be ambiguous. Lines that cannot be read are counted, not fatal.
 */
import { Fault } from '../../base/faults.js';
import { AddressScanner } from '../../net/address-scanner.js';
import { RecordColumn } from '../../net/record-column.js';
import { parseAddress } from './hitlist.js';
import { skipLineEnd, skipSpaces } from './list-reader.js';
import { TolerantReader } from './tolerant-reader.js';

const PAIR = /^(?:\[([^\]]+)\]\s*[:,]|([^,:[\]]+?)\s*[:,]|([^,[\]]+?)\s*,)\s*(\d{1,5})$/;
const PORT_MAX = 65535;
/** Longer than any pair. */
const TEXT_MAX = 200;
const PORT_DIGITS = 5;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const MAPPED = 0xffff;

/** Words of a pair: the address (IPv4 is mapped), and the port with its probe (`ProbePort`). */
export const PAIR_WORDS = 5;

export class PairListReader extends TolerantReader {
  /** The pairs; their ports are those of probe 0. */
  readonly list = new RecordColumn(PAIR_WORDS);
  readonly #scanner = new AddressScanner();
  #port = 0;

  protected override readUsual(octets: Uint8Array, from: number): number {
    const scanner = this.#scanner;
    const at = skipSpaces(octets, from);
    const address = scanner.readIpv4(octets, at);
    if (address >= 0) {
      const mark = octets[scanner.end];
      const next = mark === COLON || mark === COMMA ? this.#readPort(octets, scanner.end + 1) : -1;
      if (next >= 0) this.list.push(0, 0, MAPPED, address, this.#port);
      return next;
    }
    const isBracketed = octets[at] === OPEN;
    if (!scanner.readIpv6(octets, isBracketed ? at + 1 : at)) return skipLineEnd(octets, at);
    let end = scanner.end;
    if (isBracketed && octets[end++] !== CLOSE) return -1;
    const mark = octets[end];
    if (mark !== COMMA && (mark !== COLON || !isBracketed)) return -1;
    const next = this.#readPort(octets, end + 1);
    if (next >= 0) this.list.push(scanner.w0, scanner.w1, scanner.w2, scanner.w3, this.#port);
    return next;
  }

  /** Reads a port up to the end of its line. @returns the offset behind the line; −1 if there is no valid port */
  #readPort(octets: Uint8Array, from: number): number {
    let at = from;
    let port = 0;
    for (;;) {
      const digit = (octets[at] as number) - 48;
      if (digit < 0 || digit > 9 || at - from > PORT_DIGITS) break;
      port = port * 10 + digit;
      at++;
    }
    if (at - from > PORT_DIGITS || port < 1 || port > PORT_MAX) return -1;
    this.#port = port;
    return skipLineEnd(octets, at);
  }

  protected override addText(text: string): void {
    // The pattern takes quadratic time for long runs of spaces.
    const match = text.length > TEXT_MAX ? null : PAIR.exec(text);
    const port = parsePort(match?.[4] ?? '', text);
    const { w0, w1, w2, w3 } = parseAddress(match?.[1] ?? match?.[2] ?? match?.[3] ?? '');
    this.list.push(w0, w1, w2, w3, port);
  }
}

/** @throws Fault BAD_OPTION naming `value` */
export function parsePort(text: string, value: string): number {
  const port = Number(text);
  if (port >= 1 && port <= PORT_MAX) return port;
  throw new Fault('BAD_OPTION', 'not an address and a port', { value });
}
