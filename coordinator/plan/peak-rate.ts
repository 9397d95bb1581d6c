/**
 * The highest rate that any single network is expected to receive. Every run of positions is a random sample
 * of the space, so a network with a given share of the targets receives the same share of the rate.
 */
import type { Space } from '../../shared/survey/space/space.js';
import type { Window } from '../../shared/survey/space/window.js';

export interface Peaks {
  /** Probes per second into the busiest IPv4 /24 and /16, and IPv6 /48; 0 if there is none. */
  readonly per24: number;
  readonly per16: number;
  readonly per48: number;
}

const IPV6_NETWORK_BITS = 48;

export function peaks(space: Space, rate: number): Peaks {
  const perTarget = rate / space.size;
  const { parts } = space;
  const ports = Math.max(1, parts.ports.length);
  const ipv4 = (bits: number) => densest4(space, bits) * perTarget;
  return {
    per24: ipv4(24),
    per16: ipv4(16),
    per48: densest6(space) * ports * perTarget,
  };
}

/** Targets in the IPv4 network of `bits` bits that has the most. */
function densest4({ parts }: Space, bits: number): number {
  const span = 2 ** (32 - bits);
  const ports = parts.ports.length;
  const listed = new Map<number, number>();
  const add = (network: number, targets: number) =>
    listed.set(network, (listed.get(network) ?? 0) + targets);
  for (const { isIpv4, w3 } of parts.hitlist) if (isIpv4) add(Math.floor(w3 / span), ports);
  for (const { isIpv4, w3 } of parts.pairs) if (isIpv4) add(Math.floor(w3 / span), 1);
  let most = 0;
  let network = -1;
  let targets = 0;
  for (const { from, to } of parts.ipv4) {
    const first = Math.floor(from / span);
    const last = Math.floor((to - 1) / span);
    if (first !== network) targets = 0;
    targets += (Math.min(to, (first + 1) * span) - from) * ports;
    most = Math.max(most, targets + (listed.get(first) ?? 0));
    if (last === first) network = first;
    else {
      if (last > first + 1) most = Math.max(most, span * ports);
      network = last;
      targets = (to - last * span) * ports;
      most = Math.max(most, targets + (listed.get(last) ?? 0));
    }
  }
  for (const count of listed.values()) most = Math.max(most, count);
  return most;
}

/** Addresses in the IPv6 /48 that has the most. */
function densest6({ parts }: Space): number {
  const listed = new Map<string, number>();
  let most = 0;
  for (const { isIpv4, w0, w1 } of parts.hitlist) {
    if (isIpv4) continue;
    const network = `${w0}.${w1 >>> 16}`;
    const count = (listed.get(network) ?? 0) + 1;
    listed.set(network, count);
    most = Math.max(most, count);
  }
  for (const window of parts.windows) most = Math.max(most, densestIn(window));
  return most;
}

/** An upper bound: exclusions are subtracted from the window as a whole, not from each /48. */
function densestIn({ prefix, end, slots, size }: Window): number {
  const above = Math.min(end, IPV6_NETWORK_BITS) - Math.min(prefix.length, IPV6_NETWORK_BITS);
  return Math.min(size, slots / 2 ** above);
}
