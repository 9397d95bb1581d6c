/** Guards that hold back what a test says. */
import { blockedAddresses, Guard } from '../../agent/send/guard.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';

/** By exclusions of a version. */
export function excluding(ipv4: Ranges, ipv6 = Ranges6.none, version = 0): Guard {
  const own = blockedAddresses(Ranges.none, Ranges6.none);
  return new Guard({ version, excluded: blockedAddresses(ipv4, ipv6), own });
}

/** By the agent itself. */
export function blocking(ipv4: Ranges, ipv6 = Ranges6.none): Guard {
  const excluded = blockedAddresses(Ranges.none, Ranges6.none);
  return new Guard({ version: 0, excluded, own: blockedAddresses(ipv4, ipv6) });
}
