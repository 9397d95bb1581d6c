/**
 * Prints the targets in probing order, without sending, as `address,port` lines, or as `address,port,probe`
 * lines if there are several probes. It is fast, for pipelines: lines are written as octets into one buffer,
 * and IPv4 addresses are formatted with a table that holds the text of each octet value.
 */
import type { Position } from '../../../shared/base/brand.js';
import { writeOutSync } from '../../../shared/command/output.js';
import { Target } from '../../../shared/net/endpoint.js';
import { formatAddress } from '../../../shared/net/ipv6.js';
import type { ProbeChoice } from '../../../shared/probe/probe-set.js';
import type { Plan } from '../../../shared/survey/plan.js';

const BUFFER_OCTETS = 1 << 20;
/** A bracketless IPv6 address of 39 characters, port, name of a probe, two commas, line end. */
const LINE_OCTETS_MAX = 80;
const COMMA = 0x2c;
const DOT = 0x2e;
const ZERO = 0x30;

/** Length, then up to three digits, of each number below 256. */
const OCTETS = Uint8Array.from({ length: 256 * 4 }, (_, i) => {
  const text = String(i >>> 2);
  return i % 4 === 0 ? text.length : text.charCodeAt((i % 4) - 1) || 0;
});

/** Writes all targets of the plan to stdout. @throws ReaderGone, or Fault UNWRITABLE */
export function writeTargets(plan: Plan, probes: readonly ProbeChoice[]): void {
  const isMixed = new Set(probes.map(({ name }) => name)).size > 1;
  const suffixes = probes.map(({ name }) => Buffer.from(isMixed ? `,${name}\n` : '\n'));
  const buffer = Buffer.alloc(BUFFER_OCTETS);
  const target = new Target();
  const { space, permutation, size } = plan;
  let at = 0;
  for (let position = 0; position < size; position++) {
    space.at(permutation.at(position as Position), target);
    if (target.isIpv4) at = writeIpv4(buffer, at, target.w3);
    else at += buffer.write(formatAddress(target), at, 'latin1');
    if (isMixed || target.port > 0) buffer[at++] = COMMA;
    if (target.port > 0) at = writeNumber(buffer, at, target.port);
    const suffix = suffixes[target.probe] as Buffer;
    for (let i = 0; i < suffix.length; i++) buffer[at++] = suffix[i] as number;
    if (at <= BUFFER_OCTETS - LINE_OCTETS_MAX) continue;
    writeOutSync(buffer.subarray(0, at));
    at = 0;
  }
  writeOutSync(buffer.subarray(0, at));
}

function writeIpv4(buffer: Buffer, from: number, address: number): number {
  let at = from;
  for (let shift = 24; shift >= 0; shift -= 8) {
    const entry = ((address >>> shift) & 255) << 2;
    const digits = OCTETS[entry] as number;
    for (let i = 1; i <= digits; i++) buffer[at++] = OCTETS[entry + i] as number;
    if (shift > 0) buffer[at++] = DOT;
  }
  return at;
}

function writeNumber(buffer: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const quotient = (rest / 10) | 0;
    buffer[i] = ZERO + rest - quotient * 10;
    rest = quotient;
  }
  return at + digits;
}
