/** The neighbour solicitation probe (RFC 4861 §7.2), ARP's counterpart for IPv6: is the host on our own link? */
import { IPV6_OCTETS } from '../../packet/ipv6.js';
import { SOLICITATION_OCTETS } from '../../packet/neighbour-discovery.js';
import { type NeighbourProbe, RANK } from '../probe.js';

export const nd: NeighbourProbe = {
  kind: 'neighbour',
  name: 'nd',
  about: 'neighbour solicitation: hosts on our own link that are up answer, whatever they filter',
  families: [6],
  hasPorts: false,
  classes: [{ name: 'neighbour', rank: RANK.SERVICE, state: 'up', isSuccess: true }],
  silence: 'down',
  cookieBits: { reply: 'none: any host on the link can answer', quote: 'there are none' },
  options: [],
  octets: () => IPV6_OCTETS + SOLICITATION_OCTETS,
};
