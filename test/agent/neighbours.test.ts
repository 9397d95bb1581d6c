/** Neighbours on our own link: the resolution queue, and the packets of ARP and neighbour discovery. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_JOB, ResolutionQueue } from '../../agent/send/resolution-queue.js';
import { Target } from '../../shared/net/endpoint.js';
import { parseIpv6 } from '../../shared/net/ipv6.js';
import { ARP_OCTETS, layOutArp, readArp, setArpTarget } from '../../shared/packet/arp.js';
import { foldChecksum, sumWords } from '../../shared/packet/checksum.js';
import { ETHERNET_OCTETS } from '../../shared/packet/ethernet.js';
import {
  layOutSolicitation,
  readAdvertisement,
  setSolicitationTarget,
} from '../../shared/packet/neighbour-discovery.js';

const OURS = Uint8Array.of(2, 0, 0, 0, 0, 1);
const THEIRS = Uint8Array.of(2, 0, 0, 0, 0, 2);

describe('the resolution queue', () => {
  test('returns targets in order, and repeats those whose frames were not sent', () => {
    const step = fc.record({ add: fc.nat(20), take: fc.nat(20), commit: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const line = new ResolutionQueue();
        line.open(1);
        let added = 0; // only committed additions
        let taken = 0;
        for (const { add, take, commit } of steps) {
          const before = line.length;
          for (let i = 0; i < add; i++) line.add(1, 0, added + i, Target.ipv4(added + i, 80));
          const most = Math.min(take, before); // none of those added in this step
          for (let i = 0; i < most; i++) {
            expect([line.position, line.target.w3]).toEqual([taken + i, taken + i]);
            line.take();
          }
          if (commit) {
            line.commit();
            added += add;
            taken += most;
          } else {
            // The second half of the frames was not sent.
            const left = Math.floor(most / 2);
            line.rollBack((_slot, position) => position === taken + left);
            line.keepBefore(1, added);
            taken += most === 0 ? 0 : left;
          }
          expect(line.length).toBe(added - taken);
          expect(line.firstOf(1)).toBe(added > taken ? taken : undefined);
        }
      }),
    );
  });

  test('drops the targets of an abandoned job, and of no other', () => {
    const line = new ResolutionQueue();
    for (const slot of [1, 2]) {
      line.open(slot);
      for (let i = 0; i < 3; i++) line.add(slot, 0, i, Target.ipv4(i, 80));
      line.commit();
    }
    line.drop(1);
    const slots: number[] = [];
    for (; line.length > 0; line.take()) slots.push(line.slot);
    expect(slots).toEqual([NO_JOB, NO_JOB, NO_JOB, 2, 2, 2]);
  });
});

describe('ARP', () => {
  test('broadcasts a request for one address, and reads its owner from the reply', () => {
    const view = new DataView(new ArrayBuffer(60));
    layOutArp(view, { source: OURS }, 0x64400001);
    setArpTarget(view, ETHERNET_OCTETS, 0x64400002);
    const octets = Buffer.from(view.buffer, 0, ETHERNET_OCTETS + ARP_OCTETS).toString('hex');
    expect(octets).toBe(
      'ffffffffffff0200000000010806' + // to the broadcast address, from us
        '0001080006040001' + // Ethernet, IPv4, request
        '02000000000164400001' +
        '00000000000064400002',
    );
    for (const [i, octet] of THEIRS.entries()) view.setUint8(ETHERNET_OCTETS + 8 + i, octet);
    expect(readArp(view, ETHERNET_OCTETS)).toEqual({ address: 0x64400001, mac: THEIRS });
  });

  test.each([
    ['a multicast MAC address', 1],
    ['the all-zero MAC address', 0],
  ])('rejects a reply that maps an address to %s', (_, first) => {
    const view = new DataView(new ArrayBuffer(60));
    view.setUint8(ETHERNET_OCTETS + 8, first);
    expect(readArp(view, ETHERNET_OCTETS)).toBeUndefined();
  });
});

describe('neighbour discovery', () => {
  const ours = parseIpv6('2001:db8::1');
  const theirs = parseIpv6('2001:db8::5:20');
  const asking = () => {
    const view = new DataView(new ArrayBuffer(86));
    layOutSolicitation(view, { source: OURS }, ours);
    setSolicitationTarget(view, ETHERNET_OCTETS, theirs);
    return view;
  };
  /** The neighbour's advertisement, with its MAC address in an option. */
  const answering = (change: (view: DataView) => void = () => {}) => {
    const view = asking();
    const icmp = ETHERNET_OCTETS + 40;
    view.setUint8(icmp, 136);
    view.setUint8(icmp + 24, 2);
    for (const [i, octet] of THEIRS.entries()) view.setUint8(icmp + 26 + i, octet);
    view.setUint16(icmp + 2, 0);
    const pseudo = sumWords(view, ETHERNET_OCTETS + 8, 32, 58 + 32);
    view.setUint16(icmp + 2, foldChecksum(sumWords(view, icmp, 32, pseudo)));
    change(view);
    return view;
  };

  test('asks the solicited-node group of an address, with a valid checksum', () => {
    const view = asking();
    expect(Buffer.from(view.buffer, 0, 6).toString('hex')).toBe('3333ff050020');
    const pseudo = sumWords(view, ETHERNET_OCTETS + 8, 32, 58 + 32);
    expect(foldChecksum(sumWords(view, ETHERNET_OCTETS + 40, 32, pseudo))).toBe(0);
  });

  test('reads the owner of an address from an advertisement', () => {
    expect(readAdvertisement(answering(), 86)).toEqual({ words: theirs, mac: THEIRS });
  });

  test.each<[string, (view: DataView) => void, number]>([
    ['came from another link', (view) => view.setUint8(ETHERNET_OCTETS + 7, 254), 86],
    ['has a wrong checksum', (view) => view.setUint8(ETHERNET_OCTETS + 43, 1), 86],
    [
      'has a target that its checksum does not match',
      (view) => view.setUint8(ETHERNET_OCTETS + 60, 9),
      86,
    ],
    ['is cut off', () => {}, 60],
    ['says that it is longer than it is', (view) => view.setUint16(ETHERNET_OCTETS + 4, 200), 86],
  ])('rejects an advertisement that %s', (_, change, octets) => {
    expect(readAdvertisement(answering(change), octets)).toBeUndefined();
  });

  test('never throws, whatever it receives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (octets) => {
        const view = new DataView(new ArrayBuffer(256));
        new Uint8Array(view.buffer).set(octets);
        readAdvertisement(view, octets.length);
      }),
    );
  });
});
