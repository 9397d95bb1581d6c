import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Territory } from '../../agent/ports.js';
import { Desk } from '../../agent/send/desk.js';
import { Exit } from '../../agent/send/exit.js';
import type { Guard } from '../../agent/send/guard.js';
import { REFUSALS, refusalOf } from '../../agent/send/refusal.js';
import { Router } from '../../agent/send/router.js';
import { SendLoop, type Turn } from '../../agent/send/send-loop.js';
import { formatAddress, mappedWords, parsePrefix6, parseWords } from '../../shared/net/ipv6.js';
import type { Port } from '../../shared/net/ports.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { SPECIAL } from '../../shared/net/special.js';
import { Target } from '../../shared/net/target.js';
import { tcpSyn } from '../../shared/probe/tcp-syn.js';
import { Volley } from '../../shared/probe/volley.js';
import { Plan } from '../../shared/survey/plan.js';
import { AddressList } from '../../shared/survey/space/address-list.js';
import { Space } from '../../shared/survey/space/space.js';
import { parseWindow } from '../../shared/survey/space/window.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { blocking, excluding } from '../support/guards.js';
import { MemoryWire } from '../support/memory-wire.js';
import { KEY } from '../support/replies.js';

const HTTP_AND_HTTPS = [80, 443] as Port[];
const plan = new Plan(
  Space.ofIpv4(Ranges.of([{ from: 0xc6120000, to: 0xc6120200 }]), HTTP_AND_HTTPS),
  '7',
  256,
);
const ALL: Territory = { family: 4, from: Float64Array.of(0), to: Float64Array.of(2 ** 32) };
const ipv6 = (texts: readonly string[], except: readonly string[] = []): Territory => {
  const { words } = Ranges6.of(texts.map(parsePrefix6), except.map(parsePrefix6));
  return { family: 6, words };
};
const ALONE: Turn = { index: 0, count: 1 };

function volleyOf(targets: readonly Target[]): Volley {
  const volley = new Volley(targets.length);
  for (const target of targets) volley.add(target);
  return volley;
}

describe('the guard', () => {
  const keeps = (guard: Guard, address: number) => {
    const volley = volleyOf([Target.ipv4(address, 80)]);
    guard.sift(volley, 4, () => {});
    return volley.count === 1;
  };

  test('holds back exactly the IPv4 addresses it was given', () => {
    const guard = excluding(SPECIAL);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (address) => {
        expect(keeps(guard, address)).toBe(!SPECIAL.contains(address));
      }),
    );
    for (const { from, to } of SPECIAL) {
      expect(keeps(guard, from)).toBe(false);
      expect(keeps(guard, to - 1)).toBe(false);
      if (from > 0) expect(keeps(guard, from - 1)).toBe(!SPECIAL.contains(from - 1));
    }
  });

  test('holds back exactly the IPv6 addresses it was given', () => {
    const special = [parsePrefix6('2001:db8::/32'), parsePrefix6('::1/128')];
    const blocked = Ranges6.of(special, [parsePrefix6('2001:db8:42::/48')]);
    const guard = excluding(Ranges.none, blocked);
    const texts = [
      '2001:db8::',
      '2001:db8:41:ffff::1',
      '2001:db8:42::1',
      '2001:db9::',
      '::1',
      '::2',
    ];
    const targets = texts.map((text) => {
      const target = new Target();
      target.setWords(parseWords(text));
      return target;
    });
    const volley = volleyOf(targets);
    const heldBack: number[] = [];
    guard.sift(volley, 6, (row) => heldBack.push(row));
    expect(heldBack).toEqual([0, 1, 4]);
    const kept = Array.from({ length: volley.count }, (_, i) => {
      const target = new Target();
      const { w0, w1, w2, w3 } = volley;
      target.setWords([w0[i]!, w1[i]!, w2[i]!, w3[i]!]);
      return formatAddress(target);
    });
    expect(kept).toEqual(['2001:db8:42::1', '2001:db9::', '::2']);
  });
});

describe('the router', () => {
  test('gives each target the way out that leads to it, and says where none does', () => {
    const range = (text: string): Territory => {
      const { from, to } = Ranges.of([parseRange(text)]);
      return { family: 4, from, to };
    };
    const router = new Router([
      range('198.18.0.0/16'),
      range('198.19.0.0/16'),
      ipv6(['2001:db8::/32', '2001:db8:1:1::/64'], ['2001:db8:1::/48']),
      ipv6(['2001:db8:1::/48'], ['2001:db8:1:1::/64']),
    ]);
    const exitFor = (text: string) => {
      const target = new Target();
      target.setWords(parseWords(text));
      return router.exitFor(target);
    };
    const texts = ['198.18.1.1', '198.19.1.1', '198.20.1.1', '2001:db8::1', '2001:db8:1::1'];
    expect(texts.map(exitFor)).toEqual([0, 1, -1, 2, 3]);
    expect(['2a00::1'].map(exitFor)).toEqual([-1]);
  });
});

interface World {
  readonly blocked?: Ranges;
  readonly nextGuard?: () => Guard | undefined;
  readonly turn?: Turn;
  readonly plan?: Plan;
}

function loopOver(wires: readonly MemoryWire[], territories: readonly Territory[], world: World) {
  const desk = new Desk();
  const unsent: [position: number, code: number][] = [];
  let now = 0;
  const exits = wires.map((wire, i) => {
    const { family } = territories[i] as Territory;
    const source = family === 4 ? mappedWords(0x64400001) : parseWords('2001:db8::1');
    const ports = { from: 61000, to: 61064 };
    return new Exit({ wire, family, sources: [source], ports, probe: tcpSyn, options: {} });
  });
  const loop = new SendLoop({
    plan: world.plan ?? plan,
    key: KEY,
    exits,
    router: new Router(territories),
    guard: blocking(world.blocked ?? Ranges.none),
    nextGuard: world.nextGuard ?? (() => undefined),
    turn: world.turn ?? ALONE,
    desk,
    nextOrder: () => undefined,
    isWhole: true,
    onUnsent: ({ positions, codes }) => {
      for (const [i, code] of codes.entries()) unsent.push([positions[i] as number, code]);
    },
    now: () => {
      now += 5;
      return now;
    },
    wallMicros: () => 0,
  });
  desk.grant(1e6, Number.POSITIVE_INFINITY, 0);
  desk.prepare(0, 0);
  return { loop, desk, unsent };
}

const loopOn = (wire: MemoryWire, world: World = {}) => loopOver([wire], [ALL], world);

const targets = (from: number, to: number, of = plan) =>
  Array.from({ length: to - from }, (_, i) => {
    const target = of.targetAt(from + i);
    return `${formatAddress(target)}:${target.port}`;
  });

describe('the send loop', () => {
  test('sends each position of its order once, in order', () => {
    const wire = new MemoryWire();
    const { loop, desk } = loopOn(wire);
    loop.send({ slot: 0, from: 100, to: 700 });
    expect(wire.sent).toEqual(targets(100, 700));
    expect(desk.sentOf(0)).toBe(700);
    expect(desk.hasEnded(0)).toBe(true);
    expect(desk.sentTotal).toBe(600);
  });

  test('holds back what is excluded while it sends, and notes from which position on', () => {
    let version = 0;
    const guards: Guard[] = [];
    const wire = new MemoryWire((count) => {
      if (wire.sent.length >= 300 && version === 0) {
        version = 1;
        guards.push(excluding(Ranges.of([{ from: 0, to: 2 ** 32 }]), Ranges6.none, 1));
        desk.post(1);
      }
      return count;
    });
    const { loop, desk, unsent } = loopOn(wire, { nextGuard: () => guards.shift() });
    loop.send({ slot: 0, from: 0, to: 900 });
    const [before, after] = desk.marksOf(0);
    expect(before).toEqual({ version: 0, from: 0 });
    expect(after?.version).toBe(1);
    expect(wire.sent).toEqual(targets(0, after?.from ?? 0));
    expect(after?.from).toBeGreaterThan(299);
    expect(after?.from).toBeLessThan(450);
    expect(desk.sentOf(0)).toBe(900);
    const held = Array.from({ length: 900 - (after?.from ?? 0) }, (_, i) => (after?.from ?? 0) + i);
    expect(unsent).toEqual(held.map((position) => [position, UNSENT.EXCLUDED]));
    expect(desk.guarded).toBe(1);
  });

  test('sends again what the kernel did not take, however little it takes', () => {
    let call = 0;
    const wire = new MemoryWire((count) => {
      call++;
      return call % 7 === 0 ? { errno: 105 } : Math.min(count, 1 + (call % 3));
    });
    const { loop, desk, unsent } = loopOn(wire);
    loop.send({ slot: 0, from: 0, to: 300 });
    expect(wire.sent).toEqual(targets(0, 300));
    expect(unsent).toEqual([]);
    expect(desk.refused(refusalOf(105))).toBeGreaterThan(10);
  });

  test('waits for an interface that is down, counts each refusal, and loses nothing', () => {
    let calls = 0;
    const wire = new MemoryWire((count) => (calls++ < 3 ? { errno: 100 } : count));
    const { loop, desk, unsent } = loopOn(wire);
    loop.send({ slot: 0, from: 0, to: 50 });
    expect(wire.sent).toEqual(targets(0, 50));
    expect(REFUSALS[refusalOf(100)]?.name).toBe('ENETDOWN');
    expect(desk.refused(refusalOf(100))).toBe(3);
    expect(unsent).toEqual([]);
  });

  test('sends nothing that was excluded while an interface was down, and each other target once', () => {
    const excluded = Ranges.of([{ from: 0xc6120000, to: 0xc6120100 }]);
    const posted = excluding(excluded, Ranges6.none, 7);
    const guards: Guard[] = [];
    let calls = 0;
    const wire = new MemoryWire((count) => {
      if (calls++ > 2) return count;
      if (calls === 2) {
        guards.push(posted);
        desk.post(7);
      }
      return { errno: 100 };
    });
    const { loop, desk, unsent } = loopOn(wire, { nextGuard: () => guards.shift() });
    loop.send({ slot: 0, from: 0, to: plan.size });
    const allowed = targets(0, plan.size).filter((text) => text.startsWith('198.18.1.'));
    expect(wire.sent).toEqual(allowed);
    expect(desk.sentOf(0)).toBe(plan.size);
    expect(unsent.map(([, code]) => code)).toEqual(new Array(512).fill(UNSENT.EXCLUDED));
  });

  test('never says of a probe that left that it was held back, however little of a batch had left', () => {
    for (const taken of [0, 1, 5, 31]) {
      const guards: Guard[] = [];
      let calls = 0;
      const wire = new MemoryWire((count) => {
        calls++;
        if (calls === 1) return Math.min(count, taken);
        if (calls > 2) return count;
        guards.push(excluding(Ranges.of([{ from: 0, to: 2 ** 32 }]), Ranges6.none, 1));
        desk.post(1);
        return { errno: 105 };
      });
      const { loop, desk, unsent } = loopOn(wire, { nextGuard: () => guards.shift() });
      loop.send({ slot: 0, from: 0, to: 400 });
      expect(wire.sent).toEqual(targets(0, taken));
      const held = Array.from({ length: 400 - taken }, (_, i) => [i + taken, UNSENT.EXCLUDED]);
      expect(unsent).toEqual(held);
      expect(desk.marksOf(0).at(-1)).toEqual({ version: 1, from: taken });
    }
  });

  test('gives up what a queue that takes nothing for seconds holds, and comes to its end', () => {
    const wire = new MemoryWire(() => ({ errno: 105 }));
    const { loop, desk, unsent } = loopOn(wire);
    loop.send({ slot: 0, from: 0, to: 300 });
    expect(wire.sent).toEqual([]);
    expect(unsent).toEqual(Array.from({ length: 300 }, (_, i) => [i, UNSENT.SEND_FAILED]));
    expect(desk.hasEnded(0)).toBe(true);
  });

  test('gives up a probe that the kernel refuses for good, says which and why, and goes on', () => {
    const bad = new Set([3, 17]);
    let next = 0;
    let refusals = 0;
    const wire = new MemoryWire(() => {
      if (bad.has(next)) {
        if (++refusals % 4 === 0) next++;
        return { errno: 22 };
      }
      next++;
      return 1;
    });
    const { loop, desk, unsent } = loopOn(wire);
    loop.send({ slot: 0, from: 0, to: 100 });
    const all = targets(0, 100);
    expect(wire.sent).toEqual(all.filter((_, i) => !bad.has(i)));
    expect(unsent).toEqual([...bad].map((position) => [position, UNSENT.SEND_FAILED]));
    expect(desk.sentOf(0)).toBe(100);
  });

  test('holds back what the guard refuses, and counts it', () => {
    const wire = new MemoryWire();
    const blocked = Ranges.of([{ from: 0xc6120000, to: 0xc6120080 }]);
    const { loop, unsent } = loopOn(wire, { blocked });
    loop.send({ slot: 0, from: 0, to: plan.size });
    expect(unsent).toHaveLength(256);
    for (const [position, code] of unsent) {
      expect(code).toBe(UNSENT.BLOCKED);
      expect(blocked.contains(plan.targetAt(position).w3)).toBe(true);
    }
    const kept = targets(0, plan.size).filter(
      (text) => Number(text.split(/[.:]/)[3]) >= 128 || text.startsWith('198.18.1.'),
    );
    expect(wire.sent).toEqual(kept);
  });

  test('stops when its order is abandoned, and says how far it came', () => {
    const wire = new MemoryWire();
    const { loop, desk } = loopOn(wire);
    wire.take = (count) => {
      if (wire.sent.length > 128) desk.abandon(0);
      return count;
    };
    loop.send({ slot: 0, from: 0, to: plan.size });
    expect(desk.hasEnded(0)).toBe(true);
    expect(desk.sentOf(0)).toBe(wire.sent.length);
    expect(wire.sent.length).toBeLessThan(400);
  });

  test('shares an order with other senders so that together they send each position once', () => {
    const big = new Plan(
      Space.ofIpv4(Ranges.of([{ from: 0xc6120000, to: 0xc6122000 }]), [80] as Port[]),
      '7',
      8192,
    );
    for (const count of [2, 3, 7]) {
      for (const [from, to] of [
        [0, 8192],
        [700, 3001],
        [511, 513],
        [0, 100],
      ] as const) {
        const sent: string[] = [];
        for (let index = 0; index < count; index++) {
          const wire = new MemoryWire();
          const { loop, desk } = loopOn(wire, { turn: { index, count }, plan: big });
          loop.send({ slot: 0, from, to });
          expect(desk.sentOf(0)).toBe(to);
          sent.push(...wire.sent);
        }
        expect(sent.sort()).toEqual(targets(from, to, big).sort());
      }
    }
  });

  test('sends a space of both families by several ways out, each target once', () => {
    const mixed = new Plan(
      new Space({
        ipv4: Ranges.of([parseRange('198.18.0.0/24'), parseRange('198.19.0.0/24')]),
        windows: [parseWindow('2001:db8::/48-56@::1', '7')],
        hitlist: AddressList.of([]),
        ports: HTTP_AND_HTTPS,
        pairs: AddressList.of([]),
      }),
      '7',
      4096,
    );
    const range = (text: string): Territory => {
      const { from, to } = Ranges.of([parseRange(text)]);
      return { family: 4, from, to };
    };
    const territories: Territory[] = [
      range('198.18.0.0/16'),
      range('198.19.0.0/16'),
      ipv6(['::/0']),
    ];
    const wires = [new MemoryWire(), new MemoryWire(), new MemoryWire(undefined, 64)];
    const { loop } = loopOver(wires, territories, { plan: mixed });
    loop.send({ slot: 0, from: 0, to: mixed.size });
    expect(wires.map(({ sent }) => sent.length)).toEqual([512, 512, 512]);
    expect(wires.flatMap(({ sent }) => sent).sort()).toEqual(targets(0, mixed.size, mixed).sort());
    expect(wires[1]!.sent.every((text) => text.startsWith('198.19.'))).toBe(true);
  });
});
