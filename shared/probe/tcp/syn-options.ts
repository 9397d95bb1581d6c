/**
 * TCP options of SYN segments as common systems send them (RFC 9293 §3.2, RFC 7323, RFC 2018), and in the
 * same order. Some networks drop unusual segments, so usual ones get more replies; a layout with timestamps
 * also gives round-trip times.
 */
import { TCP_OCTETS } from '../../packet/tcp.js';

export interface SynLayout {
  readonly window: number;
  readonly options: readonly number[];
  /** Offset of the timestamp's value, from the start of the TCP header; 0 if there is none. */
  readonly stampAt: number;
}

const MSS_IPV4 = 1460; // 1500 − 40, RFC 9293 §3.7.1
const MSS_IPV6 = 1440; // 1500 − 60
const NOP = 1;
const SACK_PERMITTED = [4, 2] as const;
const TIMESTAMPS = [8, 10, 0, 0, 0, 0, 0, 0, 0, 0] as const;

const maximumSegment = (octets: number) => [2, 4, octets >>> 8, octets & 255];
const windowScale = (bits: number) => [3, 3, bits];

type LayoutMaker = (mss: readonly number[]) => { window: number; options: readonly number[] };

const LAYOUTS = {
  none: () => ({ window: 65535, options: [] }),
  /** The shortest useful layout: frames stay at Ethernet's minimum. */
  mss: (mss) => ({ window: 65535, options: mss }),
  linux: (mss) => ({
    window: 64240,
    options: [...mss, ...SACK_PERMITTED, ...TIMESTAMPS, NOP, ...windowScale(7)],
  }),
  windows: (mss) => ({
    window: 64240,
    options: [...mss, NOP, ...windowScale(8), NOP, NOP, ...SACK_PERMITTED],
  }),
  bsd: (mss) => ({
    window: 65535,
    options: [...mss, NOP, ...windowScale(6), ...SACK_PERMITTED, ...TIMESTAMPS],
  }),
} as const satisfies Record<string, LayoutMaker>;

export type LayoutName = keyof typeof LAYOUTS;
export const LAYOUT_NAMES = Object.keys(LAYOUTS) as LayoutName[];

export function synLayout(name: LayoutName, isIpv6: boolean): SynLayout {
  const layout = LAYOUTS[name](maximumSegment(isIpv6 ? MSS_IPV6 : MSS_IPV4));
  return { ...layout, stampAt: stampAt(layout.options) };
}

/** Percentage of the addresses of the IPv4 Internet that answered each layout on port 80 (Ten Years of ZMap, 2024). */
const MEASURED: Partial<Record<LayoutName, string>> = {
  none: '1.305',
  mss: '1.328',
  linux: '1.330',
};

/** Replies and fields that a layout brings. */
export function layoutTradeOff(name: LayoutName): string {
  const others = Object.entries(MEASURED).filter(([other]) => other !== name);
  const compared = others.map(([other, percent]) => `${other} ${percent} %`).join(', ');
  const own = MEASURED[name];
  const replies =
    own === undefined
      ? `replies not measured (${compared})`
      : `${own} % of IPv4 answers it (${compared})`;
  const fields = synLayout(name, false).stampAt > 0 ? '; gives rtt_ms' : '; no rtt_ms';
  return `layout ${name}: ${replies}${fields}`;
}

/**
 * Finds the offset of the timestamp's value, from the start of the TCP header, by skipping the options before
 * it; 0 if there is none.
 */
function stampAt(options: readonly number[]): number {
  let at = 0;
  while (at < options.length && options[at] !== TIMESTAMPS[0]) {
    at += options[at] === NOP ? 1 : (options[at + 1] as number);
  }
  return at < options.length ? TCP_OCTETS + at + 2 : 0;
}
