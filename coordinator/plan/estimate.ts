/** What a plan will cost: time and bandwidth at the rate asked for. */
import { probeNamed } from '../../shared/probe/catalogue.js';
import type { Survey } from '../../shared/survey/survey.js';

/** Ethernet header, frame check sequence, preamble and gap between frames (IEEE 802.3). */
const ETHERNET_OVERHEAD_OCTETS = 14 + 4 + 8 + 12;
const ETHERNET_PAYLOAD_OCTETS_MIN = 46;

export interface Estimate {
  /** Sending and the last cooldown. */
  readonly millis: number;
  /** On an Ethernet link, everything counted. */
  readonly bitsPerSecond: number;
}

type Costs = Pick<Survey, 'probe' | 'probeOptions' | 'rate' | 'cooldown'>;

export function estimate(survey: Costs, targets: number): Estimate {
  const millis = (targets / survey.rate) * 1000 + survey.cooldown;
  return { millis, bitsPerSecond: survey.rate * wireBits(survey.probe, survey.probeOptions) };
}

/** Packets per second that a bandwidth in bits per second carries. */
export function rateOfBandwidth(bitsPerSecond: number, probe: string): number {
  return bitsPerSecond / wireBits(probe, {});
}

/** Bits that one probe takes on an Ethernet link. */
function wireBits(probe: string, options: Survey['probeOptions']): number {
  const octets = Math.max(ETHERNET_PAYLOAD_OCTETS_MIN, probeNamed(probe).octets(options));
  return (octets + ETHERNET_OVERHEAD_OCTETS) * 8;
}
