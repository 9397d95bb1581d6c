/** Send filters that hold back given addresses. */
import { SendFilter } from '../../agent/send/send-filter.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { addressLists } from '../../shared/survey/policy/address-lists.js';

/** A filter that holds back addresses by a version of the exclusions. */
export function excluding(ipv4: Ranges, ipv6 = Ranges6.none, version = 0): SendFilter {
  const own = addressLists(Ranges.none, Ranges6.none);
  return new SendFilter({ version, excluded: addressLists(ipv4, ipv6), own });
}

/** A filter that holds back addresses by the agent's own blocklist. */
export function blocking(ipv4: Ranges, ipv6 = Ranges6.none): SendFilter {
  const excluded = addressLists(Ranges.none, Ranges6.none);
  return new SendFilter({ version: 0, excluded, own: addressLists(ipv4, ipv6) });
}
