/**
 * Text forms of address ranges: `10.0.0.0/8`, `10.1.2.3`, `10.0.0.1-10.0.0.9`. A prefix whose host
 * bits are set means the whole prefix, as in ZMap and nmap.
 */
import { Fault } from '../base/faults.js';
import { formatIpv4, parseIpv4 } from './address.js';
import type { Range } from './ranges.js';

/** Reads one range. @throws Fault BAD_OPTION naming the text. */
export function parseRange(text: string): Range {
  if (text.includes('/')) return parsePrefix(text);
  const dash = text.indexOf('-');
  if (dash < 0) {
    const address = parseIpv4(text);
    return { from: address, to: address + 1 };
  }
  const from = parseIpv4(text.slice(0, dash).trim());
  const last = parseIpv4(text.slice(dash + 1).trim());
  if (last < from) {
    throw new Fault('BAD_OPTION', 'the range ends before it starts', { value: text });
  }
  return { from, to: last + 1 };
}

/** Reads CIDR notation. @throws Fault BAD_OPTION naming the text. */
export function parsePrefix(text: string): Range {
  const slash = text.indexOf('/');
  const length = text.slice(slash + 1);
  if (!/^\d{1,2}$/.test(length) || Number(length) > 32) {
    const reason = 'not an IPv4 prefix (an address, a slash, a length from 0 to 32)';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  const address = parseIpv4(text.slice(0, slash));
  const size = 2 ** (32 - Number(length));
  const from = address - (address % size);
  return { from, to: from + size };
}

/** The shortest text for a range: a prefix if it is one, else first-last. */
export function formatRange(range: Range): string {
  const size = range.to - range.from;
  const bits = Math.log2(size);
  if (size === 1) return formatIpv4(range.from);
  if (Number.isInteger(bits) && range.from % size === 0) {
    return `${formatIpv4(range.from)}/${32 - bits}`;
  }
  return `${formatIpv4(range.from)}-${formatIpv4(range.to - 1)}`;
}
