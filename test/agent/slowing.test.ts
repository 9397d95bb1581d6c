import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFERRED } from '../../agent/interfaces.js';
import { SendingSequence } from '../../agent/lease/sending-sequence.js';
import { SlowPace } from '../../agent/lease/slow-pace.js';
import { SlowGate } from '../../agent/send/slow-gate.js';
import { SlowedNetworks } from '../../agent/send/slowed-networks.js';
import { Target, type Words } from '../../shared/net/endpoint.js';
import { formatAddress, parseWords } from '../../shared/net/ipv6.js';
import { MemoryFrameSender } from '../support/memory-frame-sender.js';
import { loopOn, plan } from '../support/memory-send-loop.js';
import { KEY } from '../support/replies.js';

const at = (text: string) => {
  const target = new Target();
  target.setWords(parseWords(text) as Words);
  return target;
};

describe('the slowed networks', () => {
  test('are the /24s and /48s of the addresses that were added, and no others', () => {
    const slowed = new SlowedNetworks();
    expect(slowed.isEmpty).toBe(true);
    for (const text of ['192.0.2.77', '255.255.255.1', '2001:db8:5:6::7']) slowed.add(at(text));
    const read = new SlowedNetworks(slowed.memory); // in another thread
    expect(read.isEmpty).toBe(false);
    for (const text of ['192.0.2.0', '192.0.2.255', '255.255.255.255', '2001:db8:5::']) {
      expect(read.has(at(text)), text).toBe(true);
    }
    for (const text of ['192.0.1.77', '192.0.3.77', '2001:db8:6:6::7', '0.0.0.1', '2001:db9:5::']) {
      expect(read.has(at(text)), text).toBe(false);
    }
  });
});

describe('the slow gate', () => {
  test('lets one probe a second pass to each slowed network, and all to others', () => {
    const slowed = new SlowedNetworks();
    const gate = new SlowGate(slowed, 1);
    expect(gate.isOpen).toBe(true);
    slowed.add(at('192.0.2.1'));
    slowed.add(at('198.51.100.1'));
    const passed: string[] = [];
    for (let now = 0; now < 3000; now += 100) {
      for (const text of ['192.0.2.9', '198.51.100.9', '203.0.113.9']) {
        if (gate.passes(at(text), now)) passed.push(text);
      }
    }
    const count = (text: string) => passed.filter((each) => each === text).length;
    expect([count('192.0.2.9'), count('198.51.100.9'), count('203.0.113.9')]).toEqual([3, 3, 30]);
  });

  test('divides the one probe a second to a slowed network among the senders of an agent', () => {
    const slowed = new SlowedNetworks();
    slowed.add(at('192.0.2.1'));
    const gates = [0, 1, 2, 3].map(() => new SlowGate(slowed, 4));
    let passed = 0;
    for (let now = 0; now < 20_000; now += 10) {
      for (const gate of gates) if (gate.passes(at('192.0.2.9'), now)) passed++;
    }
    expect(passed).toBe(20);
  });
});

describe('the slow pace', () => {
  const NETWORKS = ['192.0.2.9', '198.51.100.9'];
  const paceAt = (granted: { rate: number }) => {
    const sequence = new SendingSequence();
    const slow = new SlowPace(
      (position) => at(NETWORKS[position % 2] as string),
      sequence,
      () => granted.rate,
    );
    return { slow, sequence };
  };
  /** The number of probes that are sent to a network in [from, to) if each takes 10 ms. */
  const sentBetween = (slow: SlowPace, network: string, from: number, to: number) => {
    let sent = 0;
    const ends: number[] = [];
    for (let now = from; now < to; now += 10) {
      for (; (ends[0] ?? now + 1) <= now; ends.shift()) slow.done(network);
      while (slow.take(network, now)) {
        sent++;
        ends.push(now + 10);
      }
    }
    return sent;
  };
  /**
   * Makes the probe of every `nth` of 10,000 positions come due, in network 0.
   * @returns the name of the network
   */
  const dueIn = ({ slow, sequence }: ReturnType<typeof paceAt>, nth: number) => {
    let network = '';
    for (let i = 0; i < 10_000; i++) {
      if (i % nth === 0) network = slow.add(0, 0);
      sequence.advance(1);
    }
    return network;
  };

  test.each([
    [1000, 1, 100],
    [1000, 4, 25],
    [20_000, 4, 500],
    [100, 1000, 1],
    [5, 1, 1],
  ])('at %i probes/s, of which 1/%i come due, is %i probes/s', (rate, nth, expected) => {
    const pace = paceAt({ rate });
    const sent = sentBetween(pace.slow, dueIn(pace, nth), 0, 10_000) / 10;
    expect(sent).toBeGreaterThan(expected * 0.95);
    expect(sent).toBeLessThan(expected * 1.05 + 0.5);
  });

  test('follows a change of the rate, and takes at most half of it for all networks together', () => {
    const granted = { rate: 4000 };
    const pace = paceAt(granted);
    const network = dueIn(pace, 2);
    granted.rate = 100;
    expect(sentBetween(pace.slow, network, 0, 10_000)).toBeLessThan(60);
    const many = paceAt({ rate: 10 });
    const networks = [0, 1].map((position) => many.slow.add(position, 0));
    let taken = 0;
    for (let now = 0; now < 10_000; now += 10) {
      for (const each of networks) {
        if (!many.slow.take(each, now)) continue;
        taken++;
        many.slow.done(each);
      }
    }
    expect(taken).toBeLessThanOrEqual(52);
  });

  test('does not make up for a pause, and allows no more probes while those already allowed are not sent', () => {
    const pace = paceAt({ rate: 1000 });
    const network = dueIn(pace, 1);
    let taken = 0;
    for (let now = 1000; now < 60_000; now += 100) while (pace.slow.take(network, now)) taken++;
    expect(taken).toBeLessThanOrEqual(25);
    for (let i = 0; i < taken; i++) pace.slow.done(network);
    expect(sentBetween(pace.slow, network, 60_000, 61_000)).toBeLessThanOrEqual(112);
  });
});

describe('the send loop, with a slowed network', () => {
  const named = (position: number) => {
    const target = plan.targetAt(position);
    return `${formatAddress(target)}:${target.port}`;
  };
  const isSlowed = (position: number) =>
    (plan.targetAt(position).w3 & 0xffffff00) >>> 0 === 0xc6120000;
  const world = () => {
    const slowed = new SlowedNetworks();
    slowed.add(at('198.18.0.1'));
    return { slowed };
  };

  test('defers most targets of that network and sends all other targets once, however few frames are accepted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (most) => {
        const frameSender = new MemoryFrameSender((count) => Math.min(count, most));
        const { loop, control, unsent } = loopOn(frameSender, world());
        loop.send({ key: KEY, slot: 0, from: 0, to: 900 });
        const positions = Array.from({ length: 900 }, (_, i) => i);
        const deferred = unsent.map(([position]) => position);
        expect(unsent.every(([, code]) => code === DEFERRED)).toBe(true);
        expect(deferred.every(isSlowed)).toBe(true);
        expect(new Set(deferred).size).toBe(deferred.length);
        expect(frameSender.sent).toEqual(
          positions.filter((position) => !deferred.includes(position)).map(named),
        );
        // One probe a second passes; the loop's clock advances by 5 ms per reading, so fewer than 50
        // pass.
        const slowed = positions.filter(isSlowed).length;
        expect(deferred.length).toBeGreaterThan(slowed - 50);
        expect(control.sentUpToOf(0)).toBe(900);
      }),
      { numRuns: 30 },
    );
  });

  test('sends positions that were deferred before', () => {
    const frameSender = new MemoryFrameSender();
    const { loop, unsent } = loopOn(frameSender, world());
    loop.send({ key: KEY, slot: 0, from: 100, to: 140, isDeferred: true });
    expect(frameSender.sent).toEqual(Array.from({ length: 40 }, (_, i) => named(100 + i)));
    expect(unsent).toEqual([]);
  });
});
