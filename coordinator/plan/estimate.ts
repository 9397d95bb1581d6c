/** Estimates time and bandwidth of a plan at a rate. */
import { LIMITS } from '../../shared/base/limits.js';
import { probeIn } from '../../shared/net/ports.js';
import { type ProbeChoice, ProbeSet } from '../../shared/probe/probe-set.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Survey } from '../../shared/survey/survey.js';

/** Ethernet header, frame check sequence, preamble and gap between frames (IEEE 802.3). */
const ETHERNET_OVERHEAD_OCTETS = 14 + 4 + 8 + 12;
const ETHERNET_PAYLOAD_OCTETS_MIN = 46;

export interface Estimate {
  /** Sending and the last cooldown. */
  readonly millis: number;
  /** Bits per second on an Ethernet link, all overhead included. */
  readonly bitsPerSecond: number;
}

type Costs = Pick<Survey, 'probes' | 'probesPerTarget' | 'rate' | 'cooldown' | 'limits'>;

/** With several probes per target, for the case that every target is silent. */
export function estimate(survey: Costs, space: Space): Estimate {
  const { probes, probesPerTarget, rate, cooldown, limits } = survey;
  const repeats = (probesPerTarget - 1) * LIMITS.repeatMillis;
  const millis = ((limits.maxTargets * probesPerTarget) / rate) * 1000 + repeats + cooldown;
  return { millis, bitsPerSecond: rate * probeBits(probes, space) };
}

/** Packets per second that a bandwidth in bits per second carries. */
export function rateOfBandwidth(
  bitsPerSecond: number,
  probes: readonly ProbeChoice[],
  space: Space,
): number {
  return bitsPerSecond / probeBits(probes, space);
}

/** Bits of the average probe on an Ethernet link; over IPv6 if a space has both families. */
function probeBits(probes: readonly ProbeChoice[], space: Space): number {
  const family = space.hasIpv6 ? 6 : 4;
  const bits = new ProbeSet(probes).all.map(({ probe, options }) => {
    const octets = probe.families.includes(family) ? probe.octets(family, options) : 0;
    return (Math.max(ETHERNET_PAYLOAD_OCTETS_MIN, octets) + ETHERNET_OVERHEAD_OCTETS) * 8;
  });
  const { ports, pairs } = space.parts;
  let sum = 0;
  for (const port of ports) sum += space.addresses * (bits[probeIn(port)] ?? 0);
  for (const port of pairs.ports) sum += bits[probeIn(port)] ?? 0;
  return sum / space.size;
}
