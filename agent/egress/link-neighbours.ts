/**
 * Who is who on a link of our own: asked by ARP (RFC 826) and by neighbour discovery (RFC 4861 §7.2),
 * within the rate, instead of by the kernel, whose table holds a thousand entries and drops the rest in
 * silence. Who does not answer three times in 1.2 s is not there.
 *
 *   ARP   u16 hardware (1) | u16 protocol (0800) | u8 6 | u8 4 | u16 operation | sender MAC, IPv4 |
 *         target MAC, IPv4                                                                   28 octets
 *   NS    u8 135 | u8 0 | u16 checksum | u32 0 | target (16) | option: u8 1 | u8 1 | our MAC   32 octets
 */
import type { Endpoint } from '../../shared/net/endpoint.js';
import type { Words } from '../../shared/net/ipv6.js';
import { foldChecksum, sumWords } from '../../shared/packet/checksum.js';
import {
  ETHER_TYPE_IPV6,
  ethernetOctets,
  type MacAddress,
  writeEthernet,
} from '../../shared/packet/ethernet.js';
import type { Family } from '../../shared/probe/probe.js';
import { ASKING, type Link, type Neighbours, NOBODY } from '../ports.js';
import {
  AF_PACKET,
  attachFilter,
  bindSocket,
  closeSocket,
  interfaceIndex,
  onSocket,
  openSocket,
  receiveOne,
  SO_RCVBUF,
  SOCK_RAW,
  SOL_SOCKET,
  sendOne,
  setOption,
} from '../system/libc.js';

const ETHER_TYPE_ARP = 0x0806;
const ETHERNET_OCTETS = 14;
const ARP_OCTETS = 28;
const ARP_REPLY = 2;
const IPV6_OCTETS = 40;
const NEXT_ICMPV6 = 58;
const SOLICITATION = 135;
const SOLICITATION_OCTETS = 32;
const ADVERTISEMENT = 136;
const OPTION_SOURCE = 1;
const OPTION_TARGET = 2;
const MINIMUM_OCTETS = 60;
const RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024;

/** When an address is asked for again, and given up, after it was asked for last. */
const AGAIN_MILLIS = 400;
const ASKS_MAX = 3;
/** How long an answer holds, and how long nobody is there. */
const KNOWN_MILLIS = 60_000;
const NOBODY_MILLIS = 30_000;
/** Neighbours that are remembered. */
const ENTRIES_MAX = 262_144;
/** Answers that are heard at a time. */
const HEAR_MAX = 512;

export interface LinkNeighboursSetup {
  readonly device: string;
  readonly family: Family;
  readonly link: Link;
  /** Ours: the first one asks. */
  readonly sources: readonly Words[];
}

interface Entry {
  readonly words: Words;
  asks: number;
  askedAt: number;
  /** Until when `mac`, or that nobody is there, holds; 0 while it is asked for. */
  until: number;
  mac: Uint8Array | undefined;
}

export class LinkNeighbours implements Neighbours {
  readonly #family: Family;
  readonly #fd: number;
  readonly #request: Uint8Array;
  readonly #view: DataView;
  readonly #linkOctets: number;
  readonly #heard = new Uint8Array(256);
  readonly #heardView = new DataView(this.#heard.buffer);
  readonly #entries = new Map<string, Entry>();
  /** Those that are asked for, in the order in which they were asked last. */
  #asking: Entry[] = [];

  /** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
  constructor({ device, family, link, sources }: LinkNeighboursSetup) {
    this.#family = family;
    this.#linkOctets = ethernetOctets(link.vlan);
    const octets = family === 4 ? ARP_OCTETS : IPV6_OCTETS + SOLICITATION_OCTETS;
    this.#request = new Uint8Array(Math.max(MINIMUM_OCTETS, this.#linkOctets + octets));
    this.#view = new DataView(this.#request.buffer);
    const source = sources[0] ?? [0, 0, 0, 0];
    if (family === 4) layOutArp(this.#view, link, source);
    else layOutSolicitation(this.#view, link, source);
    const type = family === 4 ? ETHER_TYPE_ARP : ETHER_TYPE_IPV6;
    this.#fd = openSocket(AF_PACKET, SOCK_RAW, 0);
    onSocket(this.#fd, () => {
      setOption(this.#fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_OCTETS);
      attachFilter(this.#fd, family === 4 ? REPLIES : ADVERTISEMENTS);
      bindSocket(this.#fd, packetAddress(device, type));
    });
  }

  ask(target: Endpoint, now: number): boolean {
    const key = keyOf(target.w0, target.w1, target.w2, target.w3);
    const known = this.#entries.get(key);
    if (known !== undefined && (known.until === 0 || now < known.until)) return false;
    const words: Words = [target.w0, target.w1, target.w2, target.w3];
    const entry: Entry = { words, asks: 0, askedAt: now, until: 0, mac: undefined };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > ENTRIES_MAX) this.#forgetOne(now);
    this.#asking.push(entry);
    return this.#send(entry, now);
  }

  find(target: Endpoint, now: number): Uint8Array | typeof ASKING | typeof NOBODY {
    const entry = this.#entries.get(keyOf(target.w0, target.w1, target.w2, target.w3));
    if (entry?.mac !== undefined) return entry.mac;
    // One that was forgotten meanwhile is asked for again by the next look.
    if (entry === undefined) this.ask(target, now);
    return entry === undefined || entry.until === 0 ? ASKING : NOBODY;
  }

  tend(now: number, most: number): number {
    this.#hear(now);
    let sent = 0;
    let done = 0;
    for (const entry of this.#asking) {
      if (sent >= most || now - entry.askedAt < AGAIN_MILLIS) break; // the others are younger
      done++;
      if (entry.until !== 0) continue; // answered meanwhile
      if (entry.asks >= ASKS_MAX) {
        entry.until = now + NOBODY_MILLIS;
        continue;
      }
      if (this.#send(entry, now)) sent++;
      entry.askedAt = now;
      this.#asking.push(entry);
    }
    if (done > 0) this.#asking = this.#asking.slice(done);
    return sent;
  }

  close(): void {
    closeSocket(this.#fd);
  }

  /** A question that the kernel has no room for is asked again like one that was not answered. */
  #send(entry: Entry, now: number): boolean {
    const at = this.#linkOctets;
    if (this.#family === 4) this.#view.setUint32(at + 24, entry.words[3]);
    else aimSolicitation(this.#view, at, entry.words);
    entry.askedAt = now;
    if (!sendOne(this.#fd, this.#request)) return false;
    entry.asks++;
    return true;
  }

  #hear(now: number): void {
    for (let n = 0; n < HEAR_MAX; n++) {
      const octets = receiveOne(this.#fd, this.#heard);
      if (octets < 0) return;
      const answer = this.#family === 4 ? this.#readReply(octets) : this.#readAdvertisement(octets);
      const entry = answer && this.#entries.get(answer.key);
      if (entry === undefined || answer === undefined) continue; // nobody asked
      entry.mac = answer.mac;
      entry.until = now + KNOWN_MILLIS;
    }
  }

  #readReply(octets: number): { key: string; mac: Uint8Array } | undefined {
    if (octets < ETHERNET_OCTETS + ARP_OCTETS) return undefined;
    const at = ETHERNET_OCTETS;
    const mac = hardwareAddress(this.#heard, at + 8);
    const address = this.#heardView.getUint32(at + 14);
    return mac && { key: keyOf(0, 0, 0xffff, address), mac };
  }

  #readAdvertisement(octets: number): { key: string; mac: Uint8Array } | undefined {
    const at = ETHERNET_OCTETS + IPV6_OCTETS;
    if (octets < at + 24) return undefined;
    const word = (i: number) => this.#heardView.getUint32(at + 8 + 4 * i);
    const key = keyOf(word(0), word(1), word(2), word(3));
    const hasOption = octets >= at + 32 && this.#heard[at + 24] === OPTION_TARGET;
    // An answer to a multicast question names its address; else the frame's sender is it.
    const mac = hardwareAddress(this.#heard, hasOption ? at + 26 : 6);
    return mac && { key, mac };
  }

  /** The oldest that is not asked for at present. */
  #forgetOne(now: number): void {
    for (const [key, { until }] of this.#entries) {
      if (until === 0 || (until > now && this.#entries.size < 2 * ENTRIES_MAX)) continue;
      this.#entries.delete(key);
      return;
    }
  }
}

/** A copy; undefined for a group address, or none, which nobody has: nothing is ever broadcast. */
function hardwareAddress(octets: Uint8Array, at: number): MacAddress | undefined {
  const mac = octets.slice(at, at + 6);
  const isNobody = mac.every((octet) => octet === 0);
  return isNobody || ((mac[0] as number) & 1) !== 0 ? undefined : mac;
}

function keyOf(w0: number, w1: number, w2: number, w3: number): string {
  return `${w0},${w1},${w2},${w3}`;
}

function layOutArp(view: DataView, { source: mac, vlan }: Link, source: Words): void {
  const everybody = new Uint8Array(6).fill(0xff);
  const header = { destination: everybody, source: mac, type: ETHER_TYPE_ARP, vlan };
  writeEthernet(view, 0, header);
  const at = ethernetOctets(vlan);
  view.setUint16(at, 1);
  view.setUint16(at + 2, 0x0800);
  view.setUint16(at + 4, 0x0604);
  view.setUint16(at + 6, 1);
  setMac(view, at + 8, mac);
  view.setUint32(at + 14, source[3]);
}

function layOutSolicitation(view: DataView, { source: mac, vlan }: Link, source: Words): void {
  // 33:33:ff and the last three octets of the target (RFC 2464 §7); these follow per question.
  const group = Uint8Array.of(0x33, 0x33, 0xff, 0, 0, 0);
  writeEthernet(view, 0, { destination: group, source: mac, type: ETHER_TYPE_IPV6, vlan });
  const at = ethernetOctets(vlan);
  view.setUint32(at, 0x60000000);
  view.setUint16(at + 4, SOLICITATION_OCTETS);
  view.setUint8(at + 6, NEXT_ICMPV6);
  view.setUint8(at + 7, 255); // RFC 4861 §7.1.1
  for (const [i, word] of source.entries()) view.setUint32(at + 8 + 4 * i, word);
  view.setUint32(at + 24, 0xff020000); // ff02::1:ff00:0/104 (RFC 4291 §2.7.1)
  view.setUint32(at + 32, 1);
  const icmp = at + IPV6_OCTETS;
  view.setUint8(icmp, SOLICITATION);
  view.setUint8(icmp + 24, OPTION_SOURCE);
  view.setUint8(icmp + 25, 1);
  setMac(view, icmp + 26, mac);
}

function aimSolicitation(view: DataView, at: number, target: Words): void {
  const low = target[3] & 0xffffff;
  view.setUint32(2, (0xff << 24) | low);
  view.setUint32(at + 36, (0xff000000 | low) >>> 0);
  const icmp = at + IPV6_OCTETS;
  for (const [i, word] of target.entries()) view.setUint32(icmp + 8 + 4 * i, word);
  view.setUint16(icmp + 2, 0);
  const pseudo = sumWords(view, at + 8, 32, NEXT_ICMPV6 + SOLICITATION_OCTETS);
  view.setUint16(icmp + 2, foldChecksum(sumWords(view, icmp, SOLICITATION_OCTETS, pseudo)));
}

function setMac(view: DataView, at: number, mac: MacAddress): void {
  for (let i = 0; i < 6; i++) view.setUint8(at + i, mac[i] ?? 0);
}

/** struct sockaddr_ll; the protocol is in network order. */
function packetAddress(device: string, type: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(type, 2);
  address.writeInt32LE(interfaceIndex(device), 4);
  return address;
}

/** struct sock_filter { u16 code; u8 jumpTrue; u8 jumpFalse; u32 k }[] (bpf(4)). */
function program(...instructions: readonly (readonly [number, number, number, number])[]): Buffer {
  const octets = Buffer.alloc(8 * instructions.length);
  for (const [i, [code, jumpTrue, jumpFalse, k]] of instructions.entries()) {
    octets.writeUInt16LE(code, 8 * i);
    octets.writeUInt8(jumpTrue, 8 * i + 2);
    octets.writeUInt8(jumpFalse, 8 * i + 3);
    octets.writeUInt32LE(k, 8 * i + 4);
  }
  return octets;
}

const LOAD_OCTET = 0x30;
const LOAD_HALF = 0x28;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const SNAP_OCTETS = 256;

/** ARP replies: their operation, behind the link header. */
const REPLIES = program(
  [LOAD_HALF, 0, 0, ETHERNET_OCTETS + 6],
  [JUMP_EQUAL, 0, 1, ARP_REPLY],
  [RETURN, 0, 0, SNAP_OCTETS],
  [RETURN, 0, 0, 0],
);
/** ICMPv6 without extension headers, of the type of neighbour advertisements. */
const ADVERTISEMENTS = program(
  [LOAD_OCTET, 0, 0, ETHERNET_OCTETS + 6],
  [JUMP_EQUAL, 0, 3, NEXT_ICMPV6],
  [LOAD_OCTET, 0, 0, ETHERNET_OCTETS + IPV6_OCTETS],
  [JUMP_EQUAL, 0, 1, ADVERTISEMENT],
  [RETURN, 0, 0, SNAP_OCTETS],
  [RETURN, 0, 0, 0],
);
