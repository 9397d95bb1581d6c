/** Blocked addresses of both families as plain arrays, which can be sent to a thread and searched there. */
import type { Prefix6 } from '../../net/ipv6.js';
import type { Ranges } from '../../net/ranges.js';
import { Ranges6 } from '../../net/ranges6.js';

export interface AddressLists {
  /** The arrays of `Ranges`. */
  readonly ipv4: { readonly from: Float64Array; readonly to: Float64Array };
  /** The array of `Ranges6`. */
  readonly ipv6: Uint32Array;
}

export function addressLists(
  ipv4: Pick<Ranges, 'from' | 'to'>,
  ipv6: Ranges6 | readonly Prefix6[],
): AddressLists {
  const { words } = ipv6 instanceof Ranges6 ? ipv6 : Ranges6.of(ipv6);
  return { ipv4: { from: ipv4.from, to: ipv4.to }, ipv6: words };
}
