import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFERRED } from '../../agent/interfaces.js';
import { SlowPace } from '../../agent/lease/slow-pace.js';
import { SlowGate } from '../../agent/send/slow-gate.js';
import { SlowedNetworks } from '../../agent/send/slowed-networks.js';
import { Target, type Words } from '../../shared/net/endpoint.js';
import { formatAddress, parseWords } from '../../shared/net/ipv6.js';
import { MemoryFrameSender } from '../support/memory-frame-sender.js';
import { loopOn, plan } from '../support/memory-send-loop.js';

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

  test('divides that among the senders of an agent', () => {
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
  const timesFor = (due: readonly number[], texts = ['192.0.2.9']) => {
    const pace = new SlowPace();
    return due.map((now, i) => pace.timeFor(at(texts[i % texts.length] as string), now));
  };

  test('is a tenth of the rate at which probes come due', () => {
    const times = timesFor(Array.from({ length: 5000 }, (_, i) => i * 2)); // 500/s for ten seconds
    expect(times.at(-1)).toBeGreaterThan(80_000);
    expect(times.at(-1)).toBeLessThan(110_000);
    for (const [i, time] of times.entries()) expect(time).toBeGreaterThanOrEqual(2 * i);
  });

  test('is never slower than one probe a second', () => {
    const times = timesFor([0, 500, 1000, 1500, 2000]);
    for (const [i, time] of times.entries()) expect(time).toBeLessThanOrEqual(1000 * i);
  });

  test('is kept for each network apart', () => {
    const due = Array.from({ length: 100 }, () => 0);
    const both = timesFor(due, ['192.0.2.9', '198.51.100.9']);
    expect(both[98]).toBe(both[99]);
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

  test('defers its targets, but one, and sends all others once, however few frames are accepted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (most) => {
        const frameSender = new MemoryFrameSender((count) => Math.min(count, most));
        const { loop, control, unsent } = loopOn(frameSender, world());
        loop.send({ slot: 0, from: 0, to: 900 });
        const positions = Array.from({ length: 900 }, (_, i) => i);
        const deferred = unsent.map(([position]) => position);
        expect(unsent.every(([, code]) => code === DEFERRED)).toBe(true);
        expect(deferred.every(isSlowed)).toBe(true);
        expect(new Set(deferred).size).toBe(deferred.length);
        expect(frameSender.sent).toEqual(
          positions.filter((position) => !deferred.includes(position)).map(named),
        );
        // One a second: the clock of the loop advances by 5 ms at each look.
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
    loop.send({ slot: 0, from: 100, to: 140, isDeferred: true });
    expect(frameSender.sent).toEqual(Array.from({ length: 40 }, (_, i) => named(100 + i)));
    expect(unsent).toEqual([]);
  });
});
