/**
 * Findings from ICMP errors. They are hosts that limit the rate of their errors, so that their silence may be
 * due to an error that was not sent (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f), and networks that report
 * administrative prohibition, and are therefore probed slowly.
 */
import { formatIpv4 } from '../net/address.js';
import type { Endpoint } from '../net/endpoint.js';
import { formatIpv6, parsePrefix6, parseWords } from '../net/ipv6.js';
import { parsePrefix } from '../net/prefix.js';

export interface IcmpFindings {
  /** Hosts (an address), or networks of hosts (IPv4 /24, IPv6 /64), that send ICMP errors in bursts. */
  readonly icmpLimited: readonly string[];
  /** Networks (IPv4 /24, IPv6 /48) that report administrative prohibition. */
  readonly slowedNetworks: readonly string[];
}

export const NO_FINDINGS: IcmpFindings = { icmpLimited: [], slowedNetworks: [] };

/** Findings of one kind: how many, and the first ones. */
export interface FindingsSummary {
  readonly count: number;
  readonly examples: readonly string[];
}

/** Findings that a summary names. */
const EXAMPLES_MAX = 10;

/**
 * The highest number of findings of each kind in one epoch of a lease; further ones are reported with the
 * next shard.
 */
export const FINDINGS_PER_EPOCH = 4096;
/** The highest number of findings of each kind that a survey keeps. */
const FINDINGS_MAX = 65_536;

/** The network around an address: `192.0.2.0/24` of IPv4, `2001:db8:1::/48` of IPv6 for `bits6` = 48. */
export function networkAround({ isIpv4, w0, w1, w3 }: Endpoint, bits6: 48 | 64): string {
  if (isIpv4) return `${formatIpv4((w3 & 0xffffff00) >>> 0)}/24`;
  const second = bits6 === 64 ? w1 : (w1 & 0xffff0000) >>> 0;
  return `${formatIpv6([w0, second, 0, 0])}/${bits6}`;
}

/** True if the text is an address or a prefix, as findings contain them. */
export function isFinding(text: string): boolean {
  try {
    if (!text.includes('/')) parseWords(text);
    else if (text.includes(':')) parsePrefix6(text);
    else parsePrefix(text);
    return true;
  } catch {
    return false;
  }
}

/** The findings of a survey, each once. */
export class FindingsLog {
  readonly #limited = new Set<string>();
  readonly #slowed = new Set<string>();

  add({ icmpLimited, slowedNetworks }: IcmpFindings): void {
    addTo(this.#limited, icmpLimited);
    addTo(this.#slowed, slowedNetworks);
  }

  /** In the order of their discovery. */
  get all(): IcmpFindings {
    return { icmpLimited: [...this.#limited], slowedNetworks: [...this.#slowed] };
  }

  get summary(): Readonly<Record<keyof IcmpFindings, FindingsSummary>> {
    return { icmpLimited: summaryOf(this.#limited), slowedNetworks: summaryOf(this.#slowed) };
  }

  /** The host, or the network of hosts, whose limit may keep an address silent; undefined if there is none. */
  limitOn(address: Endpoint): string | undefined {
    const { isIpv4, w3, words } = address;
    const host = isIpv4 ? formatIpv4(w3) : formatIpv6(words);
    return [host, networkAround(address, 64)].find((text) => this.#limited.has(text));
  }
}

function summaryOf(found: ReadonlySet<string>): FindingsSummary {
  const examples: string[] = [];
  for (const text of found) {
    if (examples.length === EXAMPLES_MAX) break;
    examples.push(text);
  }
  return { count: found.size, examples };
}

function addTo(known: Set<string>, found: readonly string[]): void {
  for (const text of found) if (known.size < FINDINGS_MAX) known.add(text);
}
