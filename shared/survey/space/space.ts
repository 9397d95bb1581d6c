/**
 * The target space: the ordered set of (address, probe, port) that a survey may probe. `ports` are those of
 * all probes together: 443 of tcp-syn and 443 of udp are two. Addresses come from IPv4
 * ranges, IPv6 windows and a hitlist, in this order; with P ports, index i means address number ⌊i / P⌋ and
 * port number i mod P. Listed (address, port) pairs follow. `at` and `indexOf` are inverses.
 */
import type { TargetIndex } from '../../base/brand.js';
import { Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import { Target, type Words } from '../../net/endpoint.js';
import { type ProbePort, portIn, probeIn, probePort } from '../../net/ports.js';
import type { Ranges } from '../../net/ranges.js';
import { formatCount } from '../quantities.js';
import { AddressList } from './address-list.js';
import { RankSelect } from './rank-select.js';
import type { AddressColumns, Window } from './window.js';

export interface SpaceParts {
  readonly ipv4: Ranges;
  /** Ascending by prefix, none within another. */
  readonly windows: readonly Window[];
  /** IPv6 addresses; none of them is in a window. */
  readonly hitlist: AddressList;
  /** Ascending. */
  readonly ports: readonly ProbePort[];
  /** None of these pairs is among the addresses and ports above. */
  readonly pairs: AddressList;
}

const NO_PORT = 0;

export class Space {
  readonly parts: SpaceParts;
  /** The number of distinct addresses that are combined with every port; the addresses of pairs are not counted. */
  readonly addresses: number;
  readonly size: number;
  readonly #ipv4: RankSelect;
  readonly #ipv4Size: number;
  /** The number of addresses before each window; the last element is the number before the hitlist. */
  readonly #before: Float64Array;
  readonly #portCount: number;
  readonly #ports: Uint32Array;
  /** Index of each port in `ports`, or −1. */
  readonly #portIndex: Int32Array;
  /** Targets before the pairs. */
  readonly #pairsFrom: number;

  /** @throws Fault EMPTY_SPACE or SPACE_TOO_LARGE */
  constructor(parts: SpaceParts) {
    this.parts = parts;
    this.#ipv4 = new RankSelect(parts.ipv4);
    this.#ipv4Size = this.#ipv4.size;
    this.#before = new Float64Array(parts.windows.length + 1);
    let before = this.#ipv4Size;
    for (const [i, window] of parts.windows.entries()) {
      this.#before[i] = before;
      before += window.size;
    }
    this.#before[parts.windows.length] = before;
    this.addresses = before + parts.hitlist.size;
    this.#portCount = parts.ports.length;
    this.#pairsFrom = this.addresses * this.#portCount;
    this.size = this.#pairsFrom + parts.pairs.size;
    if (this.size < 1) throw new Fault('EMPTY_SPACE', 'no targets are left to probe');
    if (this.size > LIMITS.spaceSizeMax) {
      const reason = `${formatCount(this.size)} targets are more than 2^53: narrow targets or ports`;
      throw new Fault('SPACE_TOO_LARGE', reason);
    }
    this.#ports = Uint32Array.from(parts.ports);
    this.#portIndex = new Int32Array((probeIn(parts.ports.at(-1) ?? 0) + 1) * 65536).fill(-1);
    for (let p = 0; p < this.#portCount; p++) this.#portIndex[this.#ports[p] as number] = p;
  }

  /** A space of IPv4 ranges and ports of a single probe. */
  static ofIpv4(ipv4: Ranges, ports: readonly number[]): Space {
    const none = AddressList.none;
    const ofFirst = ports.map((port) => probePort(0, port));
    return new Space({ ipv4, windows: [], hitlist: none, ports: ofFirst, pairs: none });
  }

  get hasIpv4(): boolean {
    const { ipv4, pairs } = this.parts;
    return ipv4.count > 0 || pairs.ipv4.first < pairs.ipv4.end;
  }

  get hasIpv6(): boolean {
    const { windows, hitlist, pairs } = this.parts;
    return windows.length > 0 || hitlist.size > 0 || pairs.hasIpv6;
  }

  /** An IPv6 target; there must be one. */
  get ipv6Example(): Words {
    const { windows, hitlist, pairs } = this.parts;
    const [window] = windows;
    const target = new Target();
    if (window !== undefined) window.addressAt(0, target);
    else if (hitlist.size > 0) hitlist.at(0, target);
    else pairs.at(pairs.ipv4.first > 0 ? 0 : pairs.ipv4.end, target);
    return target.words;
  }

  /**
   * The family of a plain space, for which `fill` may be used: it consists only of IPv4 ranges below
   * 255.255.255.254, or only of one IPv6 window, combined with ports of the first probe. Undefined for other spaces.
   */
  get plainFamily(): 4 | 6 | undefined {
    const { windows, ports } = this.parts;
    if (probeIn(ports.at(-1) ?? 0) !== 0) return undefined;
    if (this.#ipv4Size * this.#portCount === this.size) return this.#ipv4.isNarrow ? 4 : undefined;
    const [window] = windows;
    return window !== undefined && window.size * this.#portCount === this.size ? 6 : undefined;
  }

  /** The targets at `count` indices of a plain space; overwrites the indices. For hot paths. */
  fill(indices: Float64Array, count: number, addresses: AddressColumns, ports: Uint16Array): void {
    const portCount = this.#portCount;
    if (portCount === 1) ports.fill(this.#ports[0] as number, 0, count);
    else {
      for (let i = 0; i < count; i++) {
        const index = indices[i] as number;
        const ordinal = Math.floor(index / portCount);
        ports[i] = this.#ports[index - ordinal * portCount] as number;
        indices[i] = ordinal;
      }
    }
    const [window] = this.parts.windows;
    if (window === undefined) this.#ipv4.fill(indices, count, addresses.w3);
    else window.fill(indices, count, addresses);
  }

  /** Writes the target at an index into `target`. No allocation; O(log ranges). */
  at(index: TargetIndex, target: Target): void {
    if (index >= this.#pairsFrom) {
      this.parts.pairs.at(index - this.#pairsFrom, target);
      return;
    }
    const portCount = this.#portCount;
    const portIndex = portCount === 1 ? 0 : index % portCount;
    const ordinal = portCount === 1 ? index : (index - portIndex) / portCount;
    const port = this.#ports[portIndex] as number;
    target.port = portIn(port);
    target.probe = probeIn(port);
    if (ordinal < this.#ipv4Size) {
      target.w0 = 0;
      target.w1 = 0;
      target.w2 = 0xffff;
      target.w3 = this.#ipv4.at(ordinal);
    } else this.#ipv6At(ordinal, target);
  }

  /** The index of a target, or −1 if the space does not contain it. */
  indexOf(target: Target): TargetIndex | -1 {
    const port = probePort(target.probe, target.port);
    const portIndex = this.#portIndex[port] ?? -1;
    const ordinal = portIndex < 0 ? -1 : this.#ordinalOf(target);
    if (ordinal >= 0) return (ordinal * this.#portCount + portIndex) as TargetIndex;
    const pair = this.parts.pairs.size === 0 ? -1 : this.parts.pairs.ordinalOf(target, port);
    return pair < 0 ? -1 : ((this.#pairsFrom + pair) as TargetIndex);
  }

  #ipv6At(ordinal: number, target: Target): void {
    const before = this.#before;
    let low = 0;
    let high = before.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((before[middle] as number) <= ordinal) low = middle;
      else high = middle - 1;
    }
    const within = ordinal - (before[low] as number);
    const window = this.parts.windows[low];
    if (window === undefined) this.parts.hitlist.at(within, target);
    else window.at(within, target);
  }

  #ordinalOf(target: Target): number {
    if (target.isIpv4) {
      const ordinal = this.#ipv4.of(target.w3);
      if (ordinal >= 0) return ordinal;
    } else {
      const i = this.#windowBefore(target);
      const ordinal = this.parts.windows[i]?.ordinalOf(target) ?? -1;
      if (ordinal >= 0) return (this.#before[i] as number) + ordinal;
    }
    const { hitlist, windows } = this.parts;
    const listed = hitlist.size === 0 ? -1 : hitlist.ordinalOf(target, NO_PORT);
    return listed < 0 ? -1 : (this.#before[windows.length] as number) + listed;
  }

  /** The last window whose prefix does not come after the target. */
  #windowBefore({ w0, w1, w2, w3 }: Target): number {
    const { windows } = this.parts;
    let low = -1;
    let high = windows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const words = (windows[middle] as Window).prefix.words;
      const order = words[0] - w0 || words[1] - w1 || words[2] - w2 || words[3] - w3;
      if (order <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
