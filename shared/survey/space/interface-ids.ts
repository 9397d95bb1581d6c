/**
 * Interface identifiers: the low bits of an IPv6 address, below the bits over which a window iterates. Each
 * pattern has `count` identifiers in ascending order, so that addresses ascend with their index.
 *
 *     ::1            one identifier; several as ::1|::2|::80
 *     low:1000       ::1 … ::1000
 *     eui64:00:50:56 all 2^24 of one vendor (RFC 4291 appendix A)
 *     ipv4:PREFIX    an embedded IPv4 address in the last 32 bits
 *     random         one per prefix, from the seed, always the same
 */
import { createHash } from 'node:crypto';
import { Fault } from '../../base/faults.js';
import { parseIpv6 } from '../../net/ipv6.js';
import { parseRange } from '../../net/prefix.js';
import { Chaskey } from '../../probe/chaskey.js';

/** The last two words of an address; mutable, refilled. */
interface LowWords {
  w2: number;
  w3: number;
}

export interface InterfaceIds {
  /** The text of this pattern. */
  readonly text: string;
  readonly count: number;
  /** Bits of the largest identifier: 1 … 64. */
  readonly bits: number;
  /** Adds identifier `k` to an address whose low bits are zero; `n` is the number in its iterated bits. */
  fill(k: number, n: number, address: LowWords): void;
}

const LOW_MAX = 2 ** 32 - 1;
const EUI64_COUNT = 2 ** 24;
/** Universal/local bit of an OUI, inverted in an interface identifier. */
const UNIVERSAL_LOCAL = 0x020000;

/** @param seed of the survey, for `random` @throws Fault BAD_OPTION naming the text */
export function parseInterfaceIds(text: string, seed: string): InterfaceIds {
  const [kind = '', ...rest] = text.split(':');
  const detail = rest.join(':');
  if (text === 'random') return randomIds(text, seed);
  if (text.startsWith('::')) return listedIds(text);
  if (kind === 'low') return lowIds(text, detail);
  if (kind === 'eui64') return eui64Ids(text, detail);
  if (kind === 'ipv4') return embeddedIds(text, detail);
  throw malformed(text, 'there are ::1, ::1|::2, low:N, eui64:OUI, ipv4:PREFIX and random');
}

function listedIds(text: string): InterfaceIds {
  const ids = text
    .split('|')
    .map((each) => parseIpv6(each))
    .sort((a, b) => a[2] - b[2] || a[3] - b[3]);
  if (ids.some(([w0, w1]) => w0 !== 0 || w1 !== 0)) {
    throw malformed(text, 'an interface identifier has 64 bits');
  }
  const unique = ids.filter(
    ([, , w2, w3], i) => i === 0 || ids[i - 1]?.[2] !== w2 || ids[i - 1]?.[3] !== w3,
  );
  const high = Uint32Array.from(unique, (id) => id[2]);
  const low = Uint32Array.from(unique, (id) => id[3]);
  const last = unique.length - 1;
  const bits = high[last] ? 64 - Math.clz32(high[last]) : 32 - Math.clz32(low[last] ?? 0);
  return {
    text,
    count: unique.length,
    bits: Math.max(1, bits),
    fill(k, _n, address) {
      address.w2 = (address.w2 | (high[k] as number)) >>> 0;
      address.w3 = (address.w3 | (low[k] as number)) >>> 0;
    },
  };
}

function lowIds(text: string, detail: string): InterfaceIds {
  const count = Number(detail);
  if (!Number.isInteger(count) || count < 1 || count > LOW_MAX) {
    throw malformed(text, `low:N has N from 1 to ${LOW_MAX}`);
  }
  return ascending(text, count, 1);
}

function embeddedIds(text: string, detail: string): InterfaceIds {
  const { from, to } = parseRange(detail);
  return ascending(text, to - from, from);
}

/** Identifiers `first`, `first` + 1, … in the last 32 bits. */
function ascending(text: string, count: number, first: number): InterfaceIds {
  return {
    text,
    count,
    bits: Math.max(1, 32 - Math.clz32(first + count - 1)),
    fill(k, _n, address) {
      address.w3 = (address.w3 | (first + k)) >>> 0;
    },
  };
}

function eui64Ids(text: string, detail: string): InterfaceIds {
  const octets = detail.split(/[:-]/);
  if (octets.length !== 3 || !octets.every((octet) => /^[0-9a-f]{2}$/i.test(octet))) {
    throw malformed(text, 'an OUI is three octets, such as eui64:00:50:56');
  }
  const oui = Number.parseInt(octets.join(''), 16) ^ UNIVERSAL_LOCAL;
  const w2 = ((oui << 8) | 0xff) >>> 0;
  return {
    text,
    count: EUI64_COUNT,
    bits: 64,
    fill(k, _n, address) {
      address.w2 = (address.w2 | w2) >>> 0;
      address.w3 = (address.w3 | 0xfe000000 | k) >>> 0;
    },
  };
}

function randomIds(text: string, seed: string): InterfaceIds {
  const digest = createHash('sha256').update(`transect interface ids ${seed}`).digest();
  const hash = new Chaskey(new Uint8Array(digest.subarray(0, 16)));
  return {
    text,
    count: 1,
    bits: 64,
    fill(_k, n, address) {
      hash.tag12(n | 0, (n / 2 ** 32) | 0, 0);
      address.w2 = hash.second >>> 0;
      address.w3 = hash.first >>> 0;
    },
  };
}

function malformed(text: string, reason: string): Fault {
  return new Fault('BAD_OPTION', `not a pattern of interface identifiers: ${reason}`, {
    value: text,
  });
}
