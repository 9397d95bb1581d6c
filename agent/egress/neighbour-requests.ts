/**
 * Requests to neighbours on one link and their answers: ARP (RFC 826) of IPv4, neighbour solicitations and
 * advertisements (RFC 4861 §7.2) of IPv6.
 */
import type { Words } from '../../shared/net/endpoint.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import { ARP_OCTETS, layOutArp, readArp, setArpTarget } from '../../shared/packet/arp.js';
import { ETHERNET_OCTETS, ethernetOctets, type MacAddress } from '../../shared/packet/ethernet.js';
import { IPV6_OCTETS } from '../../shared/packet/ipv6.js';
import {
  layOutSolicitation,
  readAdvertisement,
  SOLICITATION_OCTETS,
  setSolicitationTarget,
} from '../../shared/packet/neighbour-discovery.js';
import type { Family } from '../../shared/probe/probe.js';
import type { NextHop } from '../interfaces.js';
import { closeSocket, receiveOne, sendOne } from '../system/libc.js';
import { openNeighbourSocket } from './neighbour-socket.js';

const MINIMUM_OCTETS = 60;

export interface NeighbourRequestsSetup {
  readonly device: string;
  readonly family: Family;
  readonly nextHop: NextHop;
  /** Our addresses; requests are sent from the first one. */
  readonly sources: readonly Words[];
}

export interface NeighbourAnswer {
  readonly words: Words;
  readonly mac: MacAddress;
}

export class NeighbourRequests {
  readonly #family: Family;
  readonly #fd: number;
  readonly #request: Uint8Array;
  readonly #view: DataView;
  readonly #linkOctets: number;
  readonly #answer = new Uint8Array(256);
  readonly #answerView = new DataView(this.#answer.buffer);

  /** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
  constructor({ device, family, nextHop, sources }: NeighbourRequestsSetup) {
    this.#family = family;
    this.#linkOctets = ethernetOctets(nextHop.vlan);
    const octets = family === 4 ? ARP_OCTETS : IPV6_OCTETS + SOLICITATION_OCTETS;
    this.#request = new Uint8Array(Math.max(MINIMUM_OCTETS, this.#linkOctets + octets));
    this.#view = new DataView(this.#request.buffer);
    const source = sources[0] ?? [0, 0, 0, 0];
    if (family === 4) layOutArp(this.#view, nextHop, source[3]);
    else layOutSolicitation(this.#view, nextHop, source);
    this.#fd = openNeighbourSocket(device, family);
  }

  /** @returns false if the kernel refuses the request */
  send(target: Words): boolean {
    const at = this.#linkOctets;
    if (this.#family === 4) setArpTarget(this.#view, at, target[3]);
    else setSolicitationTarget(this.#view, at, target);
    return sendOne(this.#fd, this.#request);
  }

  /** The next answer that has arrived, to any request; undefined if there is none. */
  read(): NeighbourAnswer | undefined {
    for (;;) {
      const octets = receiveOne(this.#fd, this.#answer);
      if (octets < 0) return undefined;
      const answer = this.#dissect(octets);
      if (answer !== undefined) return answer;
    }
  }

  close(): void {
    closeSocket(this.#fd);
  }

  /** Undefined for a malformed answer. */
  #dissect(octets: number): NeighbourAnswer | undefined {
    if (this.#family === 6) return readAdvertisement(this.#answerView, octets);
    const at = ETHERNET_OCTETS;
    const found = octets < at + ARP_OCTETS ? undefined : readArp(this.#answerView, at);
    return found && { words: mappedWords(found.address), mac: found.mac };
  }
}
