/** Estimates time and bandwidth of a plan at a rate. */
import { probeNamed } from '../../shared/probe/probe-registry.js';
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

type Sent = Pick<Survey, 'probe' | 'probeOptions'>;
type Costs = Sent & Pick<Survey, 'rate' | 'cooldown'>;

export function estimate(survey: Costs, space: Space): Estimate {
  const millis = (space.size / survey.rate) * 1000 + survey.cooldown;
  return { millis, bitsPerSecond: survey.rate * probeBits(survey, space) };
}

/** Packets per second that a bandwidth in bits per second carries. */
export function rateOfBandwidth(bitsPerSecond: number, probe: Sent, space: Space): number {
  return bitsPerSecond / probeBits(probe, space);
}

/** Bits of one probe on an Ethernet link; of an IPv6 probe, the longer one, if the space has IPv6. */
function probeBits({ probe, probeOptions }: Sent, space: Space): number {
  const octets = probeNamed(probe).octets(space.hasIpv6 ? 6 : 4, probeOptions);
  return (Math.max(ETHERNET_PAYLOAD_OCTETS_MIN, octets) + ETHERNET_OVERHEAD_OCTETS) * 8;
}
