import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Wire } from '../../agent/ports.js';
import { Desk } from '../../agent/send/desk.js';
import { Guard } from '../../agent/send/guard.js';
import { Pacer } from '../../agent/send/pacer.js';
import { SendLoop } from '../../agent/send/send-loop.js';
import type { Port } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { SPECIAL } from '../../shared/net/special.js';
import { tcpSyn } from '../../shared/probe/tcp-syn.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import { KEY, read } from '../support/replies.js';

describe('the pacer', () => {
  test('lets through what the rate allows, at any rate, within a burst', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.5, max: 1e6, noNaN: true }), (rate) => {
        const pacer = new Pacer(0);
        let sent = 0;
        let now = 0;
        while (now < 10_000) {
          const allowance = pacer.allowance(now, rate);
          expect(allowance).toBeLessThanOrEqual(Math.max(1, rate * 0.002));
          pacer.spend(allowance);
          sent += allowance;
          now += Math.max(0.25, pacer.pause(rate));
        }
        expect(sent).toBeLessThanOrEqual(rate * 10 + 1);
        expect(sent).toBeGreaterThanOrEqual(rate * 10 * 0.99 - 2);
      }),
      { numRuns: 50 },
    );
  });

  test('does not make up for a pause', () => {
    const pacer = new Pacer(0);
    pacer.allowance(0, 1000);
    expect(pacer.allowance(60_000, 1000)).toBeLessThanOrEqual(2);
    pacer.spend(2);
    let more = 0;
    for (let i = 0; i < 20; i++) {
      const allowance = pacer.allowance(60_000, 1000);
      pacer.spend(allowance);
      more += allowance;
    }
    expect(more).toBeLessThanOrEqual(10);
  });

  test('sends nothing without a rate, and starts from nothing afterwards', () => {
    const pacer = new Pacer(0);
    pacer.allowance(1000, 1e6);
    expect(pacer.allowance(1001, 0)).toBe(0);
    expect(pacer.allowance(1001, 1000)).toBe(0);
  });
});

describe('the guard', () => {
  test('refuses exactly the addresses it was given', () => {
    const guard = new Guard(SPECIAL);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (address) => {
        expect(guard.refuses(address)).toBe(SPECIAL.contains(address));
      }),
    );
    for (const { from, to } of SPECIAL) {
      expect(guard.refuses(from)).toBe(true);
      expect(guard.refuses(to - 1)).toBe(true);
      if (from > 0) expect(guard.refuses(from - 1)).toBe(SPECIAL.contains(from - 1));
    }
  });
});

/** A wire that takes what `take` says and remembers the destinations. */
class FakeWire implements Wire {
  readonly name = 'fake';
  readonly view = new DataView(new ArrayBuffer(64 * 128));
  readonly batch = 64;
  readonly sent: string[] = [];
  errno = 0;
  readonly #take: (from: number, to: number) => number | { errno: number };

  constructor(take: (from: number, to: number) => number | { errno: number }) {
    this.#take = take;
  }
  frameAt(slot: number): number {
    return slot * 128;
  }
  send(from: number, to: number): number {
    const taken = this.#take(from, to);
    if (typeof taken !== 'number') {
      this.errno = taken.errno;
      return 0;
    }
    for (let slot = from; slot < from + taken; slot++) {
      const { ip, tcp } = read(new Uint8Array(this.view.buffer, this.frameAt(slot), 44));
      this.sent.push(`${ip.destination}:${tcp.destinationPort}`);
    }
    return taken;
  }
  close(): void {}
}

const plan = new Plan(
  Space.ofIpv4(Ranges.of([{ from: 0xc6120000, to: 0xc6120200 }]), [80, 443] as Port[]),
  '7',
  256,
);

function loopOver(wire: FakeWire, blocked = Ranges.none) {
  const desk = new Desk();
  let now = 0;
  const loop = new SendLoop({
    plan,
    probe: tcpSyn,
    probeOptions: {},
    key: KEY,
    origin: { address: 0x64400001, ports: { from: 61000, to: 61064 } },
    wire,
    guard: new Guard(blocked),
    desk,
    nextOrder: () => undefined,
    now: () => {
      now += 5;
      return now;
    },
  });
  desk.grant(1e6, Number.POSITIVE_INFINITY);
  desk.prepare(0, 0);
  return { loop, desk };
}

const targets = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => {
    const { w3, port } = plan.targetAt(from + i);
    return `${w3}:${port}`;
  });

describe('the send loop', () => {
  test('sends each position of its order once, in order', () => {
    const wire = new FakeWire((from, to) => to - from);
    const { loop, desk } = loopOver(wire);
    loop.send({ slot: 0, from: 100, to: 700 });
    expect(wire.sent).toEqual(targets(100, 700));
    expect(desk.sentOf(0)).toBe(700);
    expect(desk.hasEnded(0)).toBe(true);
    expect(desk.sentTotal).toBe(600);
  });

  test('sends again what the kernel did not take, however little it takes', () => {
    let call = 0;
    const wire = new FakeWire((from, to) => {
      call++;
      if (call % 7 === 0) return { errno: 105 };
      return Math.min(to - from, 1 + (call % 3));
    });
    const { loop, desk } = loopOver(wire);
    loop.send({ slot: 0, from: 0, to: 300 });
    expect(wire.sent).toEqual(targets(0, 300));
    expect(desk.lostOf(0)).toBe(0);
    expect(desk.errorTotal).toBeGreaterThan(10);
  });

  test('gives up a probe that the kernel refuses for good, counts it lost, and goes on', () => {
    const bad = new Set([3, 17]);
    let next = 0;
    const wire = new FakeWire(() => {
      if (bad.has(next)) {
        return { errno: 101 };
      }
      next++;
      return 1;
    });
    const refusals = { count: 0 };
    const { loop, desk } = loopOver(wire);
    const send = wire.send.bind(wire);
    wire.send = (from, to) => {
      const taken = send(from, to);
      if (taken === 0 && ++refusals.count % 4 === 0) next++;
      return taken;
    };
    loop.send({ slot: 0, from: 0, to: 100 });
    expect(wire.sent).toHaveLength(98);
    expect(desk.lostOf(0)).toBe(2);
    expect(desk.sentOf(0)).toBe(100);
  });

  test('holds back what the guard refuses, and counts it', () => {
    const wire = new FakeWire((from, to) => to - from);
    const blocked = Ranges.of([{ from: 0xc6120000, to: 0xc6120080 }]);
    const { loop, desk } = loopOver(wire, blocked);
    loop.send({ slot: 0, from: 0, to: plan.size });
    expect(desk.excludedOf(0)).toBe(256);
    expect(wire.sent).toHaveLength(plan.size - 256);
    expect(wire.sent.some((target) => blocked.contains(Number(target.split(':')[0])))).toBe(false);
  });

  test('stops when its order is abandoned, and says how far it came', () => {
    const wire = new FakeWire((from, to) => to - from);
    const { loop, desk } = loopOver(wire);
    const send = wire.send.bind(wire);
    wire.send = (from, to) => {
      if (wire.sent.length > 128) desk.abandon(0);
      return send(from, to);
    };
    loop.send({ slot: 0, from: 0, to: plan.size });
    expect(desk.hasEnded(0)).toBe(true);
    expect(desk.sentOf(0)).toBe(wire.sent.length);
    expect(wire.sent.length).toBeLessThan(400);
  });
});
