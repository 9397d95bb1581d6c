/**
 * The ARP probe (RFC 826; nmap's -PR): is the host on our own link? A host has to answer, whatever its firewall
 * does with IP.
 */
import { ARP_OCTETS } from '../../packet/arp.js';
import { type NeighbourProbe, RANK } from '../probe.js';

export const arp: NeighbourProbe = {
  kind: 'neighbour',
  name: 'arp',
  about: 'ARP request: hosts on our own link that are up answer, whatever they filter',
  families: [4],
  hasPorts: false,
  classes: [{ name: 'neighbour', rank: RANK.SERVICE, state: 'up', isSuccess: true }],
  silence: 'down',
  cookieBits: { reply: 'none: any host on the link can answer', quote: 'there are none' },
  options: [],
  octets: () => ARP_OCTETS,
};
