/**
 * IPv6 addresses as four unsigned 32-bit words, most significant first. Text of an unusual form is parsed by ip-num;
 * addresses are written in the canonical form of RFC 5952 §4.
 */
import { Fault } from '../base/faults.js';
import { formatIpv4, ipNum, parseIpv4 } from './address.js';
import { AddressScanner } from './address-scanner.js';
import type { Endpoint, Words } from './endpoint.js';

/** The addresses whose first `length` bits are those of `words`; the other bits are zero. */
export interface Prefix6 {
  readonly words: Words;
  /** 0 … 128. */
  readonly length: number;
}

const WORD = 0xffffffffn;
/** Without leading zeros, which would be ambiguous. */
const IPV4_TAIL = /^(.*:)(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;
const scanner = new AddressScanner();

/** @throws Fault BAD_OPTION naming the text */
export function parseIpv6(text: string): Words {
  const octets = Buffer.from(`${text}\n`);
  if (scanner.readIpv6(octets, 0) && scanner.end === octets.length - 1) {
    return [scanner.w0, scanner.w1, scanner.w2, scanner.w3];
  }
  const { IPv6, Validator } = ipNum();
  const expanded = expandIpv4Tail(text);
  if (!/^[0-9a-f:]+$/i.test(expanded) || !Validator.isValidIPv6String(expanded)[0]) {
    throw new Fault('BAD_OPTION', 'not an IPv6 address', { value: text });
  }
  const value = new IPv6(expanded).getValue();
  const word = (i: number) => Number((value >> BigInt(96 - 32 * i)) & WORD);
  return [word(0), word(1), word(2), word(3)];
}

/** Reads `2001:db8::/32`; bits beyond the length are cleared. @throws Fault BAD_OPTION */
export function parsePrefix6(text: string): Prefix6 {
  const [address = '', length = ''] = text.split('/');
  if (!/^\d{1,3}$/.test(length) || Number(length) > 128) {
    const reason = 'not an IPv6 prefix (an address, a slash, a length from 0 to 128)';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return { words: clearBehind(parseIpv6(address), Number(length)), length: Number(length) };
}

export function formatIpv6([w0, w1, w2, w3]: Words): string {
  const groups = [w0, w1, w2, w3].flatMap((word) => [word >>> 16, word & 0xffff]);
  const { at, length } = longestZeros(groups);
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, at))}::${hex(groups.slice(at + length))}`;
}

/** An address of either family. */
export function formatAddress(address: Endpoint): string {
  return formatWords(address.words);
}

/** An address of either family; IPv4 is mapped, and written as IPv4. */
export function formatWords(words: Words): string {
  return isMapped(words) ? formatIpv4(words[3]) : formatIpv6(words);
}

/** Reads an address of either family. @throws Fault BAD_OPTION naming the text */
export function parseWords(text: string): Words {
  return text.includes(':') ? parseIpv6(text) : mappedWords(parseIpv4(text));
}

/** The words of an IPv4 address, mapped. */
export function mappedWords(address: number): Words {
  return [0, 0, 0xffff, address];
}

/** True if the words are an IPv4 address (RFC 4291 §2.5.5.2). */
export function isMapped([w0, w1, w2]: Words): boolean {
  return w0 === 0 && w1 === 0 && w2 === 0xffff;
}

/** Negative if `a` comes before `b`, zero if they are equal, else positive. */
export function compareWords(a: Words, b: Words): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}

/** The last address of a prefix. */
export function lastOf({ words, length }: Prefix6): Words {
  const fill = (word: number, i: number) => (word | ~maskOf(length, i)) >>> 0;
  return [fill(words[0], 0), fill(words[1], 1), fill(words[2], 2), fill(words[3], 3)];
}

/** True if an address has the prefix. */
export function hasPrefix(address: Words, { words, length }: Prefix6): boolean {
  return address.every((word, i) => ((word ^ (words[i] as number)) & maskOf(length, i)) === 0);
}

/** The address with all bits but the first `length` cleared. */
export function clearBehind(words: Words, length: number): Words {
  const clear = (i: 0 | 1 | 2 | 3) => (words[i] & maskOf(length, i)) >>> 0;
  return [clear(0), clear(1), clear(2), clear(3)];
}

/** The bits of word `i` that belong to a prefix of `length`. */
function maskOf(length: number, i: number): number {
  const bits = Math.min(32, Math.max(0, length - 32 * i));
  return bits === 0 ? 0 : -1 << (32 - bits);
}

/** The first longest run of zero groups (RFC 5952 §4.2.3). */
function longestZeros(groups: readonly number[]): { at: number; length: number } {
  let best = { at: 0, length: 0 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  return best;
}

/** `::ffff:192.0.2.1` as hexadecimal groups, which is what ip-num reads. */
function expandIpv4Tail(text: string): string {
  const match = IPV4_TAIL.exec(text);
  if (match === null) return text;
  const [a = 256, b = 256, c = 256, d = 256] = match.slice(2).map(Number);
  if (Math.max(a, b, c, d) > 255) return text;
  return `${match[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
