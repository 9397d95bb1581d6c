/** Quantities as people write them: rates `20k`, durations `8s`, bandwidths `10M`. */
import type { Millis, Pps } from '../base/brand.js';
import { Fault } from '../base/faults.js';

type Scales = ReadonlyMap<string, number>;

const MULTIPLES: Scales = new Map(Object.entries({ '': 1, k: 1e3, m: 1e6, g: 1e9 }));
const UNITS_MILLIS: Scales = new Map(
  Object.entries({
    ms: 1,
    '': 1e3,
    s: 1e3,
    m: 60e3,
    h: 3600e3,
    d: 86400e3,
  }),
);
/** The rate that stands for "as fast as agents can send". */
export const UNLIMITED = 1e9 as Pps;

/** Packets per second: `1000`, `20k`, `1.5M`, `0.1`. @throws Fault BAD_OPTION. */
export function parseRate(text: string): Pps {
  const rate = parseScaled(text, MULTIPLES);
  if (rate === undefined || rate <= 0 || rate > UNLIMITED) {
    const reason = 'a rate is packets per second above 0, such as 500, 20k or 1.5M';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return rate as Pps;
}

/** Like `parseRate`, but `0` means as fast as agents can send. @throws Fault BAD_OPTION. */
export function parseRateLimit(text: string): Pps {
  return text.trim() === '0' ? UNLIMITED : parseRate(text);
}

/** Bits per second: `10M`, `1G`. @throws Fault BAD_OPTION. */
export function parseBandwidth(text: string): number {
  const bits = parseScaled(text, MULTIPLES);
  if (bits === undefined || bits <= 0) {
    const reason = 'a bandwidth is bits per second above 0, such as 64k, 10M or 1G';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return bits;
}

/** A duration; a bare number is seconds: `8s`, `500ms`, `2m`, `8`. @throws Fault BAD_OPTION. */
export function parseDuration(text: string): Millis {
  const millis = parseScaled(text, UNITS_MILLIS);
  if (millis === undefined) {
    const reason = 'a duration is a number with ms, s, m, h or d, such as 8s or 500ms';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return millis as Millis;
}

/** A count: `1000`, `20k`, above 0. @throws Fault BAD_OPTION. */
export function parseCount(text: string): number {
  const count = parseScaled(text, MULTIPLES);
  if (count === undefined || !Number.isSafeInteger(count) || count < 1) {
    throw new Fault('BAD_OPTION', 'a count is a whole number above 0', { value: text });
  }
  return count;
}

function parseScaled(text: string, scales: Scales): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim().toLowerCase());
  const scale = scales.get(match?.[2] ?? '?');
  return match === null || scale === undefined ? undefined : Number(match[1]) * scale;
}

/** `1,234,567`. */
export function formatCount(count: number): string {
  // Intl would take 17 ms to load.
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A rate limit, for people. */
export function formatLimit(rate: number): string {
  return rate >= UNLIMITED ? 'no limit' : `${formatCount(rate)} probes/s`;
}

/** `950 ms`, `12.3 s`, `4 min 05 s`, `3 h 20 min`, `2 d 4 h`. */
export function formatDuration(millis: number): string {
  if (millis < 1e3) return `${Math.round(millis)} ms`;
  if (millis < 100e3) return `${(millis / 1e3).toFixed(1)} s`;
  const seconds = Math.round(millis / 1e3);
  const [days, hours] = [Math.floor(seconds / 86400), Math.floor((seconds % 86400) / 3600)];
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
}
