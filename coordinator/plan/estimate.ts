/** Estimates time and bandwidth of a plan at a rate. */
import { LIMITS } from '../../shared/base/limits.js';
import { type ProbePort, probeIn } from '../../shared/net/ports.js';
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

/**
 * Estimates the time and bandwidth of a survey. If it has several probes per target, the estimate assumes
 * that every target is silent.
 */
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

/** One probe of a survey as a frame. */
export interface FrameCost {
  readonly probe: string;
  /**
   * Octets of one probe on an Ethernet link, with preamble and gap. If a space has both families, the size over
   * IPv6.
   */
  readonly octets: number;
  /** The effect of the probe's options; empty if they are no trade-off. */
  readonly tradeOff: string;
}

/** Octets of the smallest Ethernet frame on a link. */
export const FRAME_OCTETS_MIN = ETHERNET_PAYLOAD_OCTETS_MIN + ETHERNET_OVERHEAD_OCTETS;

/** The frames of all probes, by index of the probe. */
export function frameCosts(probes: readonly ProbeChoice[], space: Space): readonly FrameCost[] {
  const family = space.hasIpv6 ? 6 : 4;
  return new ProbeSet(probes).all.map(({ probe, options }) => {
    const octets = probe.families.includes(family) ? probe.octets(family, options) : 0;
    return {
      probe: probe.name,
      octets: Math.max(ETHERNET_PAYLOAD_OCTETS_MIN, octets) + ETHERNET_OVERHEAD_OCTETS,
      tradeOff: probe.tradeOff?.(options) ?? '',
    };
  });
}

/** Bits of the average probe on an Ethernet link. */
function probeBits(probes: readonly ProbeChoice[], space: Space): number {
  const costs = frameCosts(probes, space);
  const bits = (port: ProbePort) => (costs[probeIn(port)]?.octets ?? 0) * 8;
  const { ports, pairs } = space.parts;
  let sum = 0;
  for (const port of ports) sum += space.addresses * bits(port);
  for (const port of pairs.ports) sum += bits(port as ProbePort);
  return sum / space.size;
}
