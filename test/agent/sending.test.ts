import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Router } from '../../agent/egress/router.js';
import type { Destinations } from '../../agent/interfaces.js';
import type { SendJob } from '../../agent/send/jobs/send-job.js';
import { SEND_ERRORS, sendErrorOf } from '../../agent/send/send-errors.js';
import type { SendFilter } from '../../agent/send/send-filter.js';
import { Target } from '../../shared/net/endpoint.js';
import { formatAddress, parsePrefix6, parseWords } from '../../shared/net/ipv6.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import { Plan } from '../../shared/survey/plan.js';
import { SPECIAL } from '../../shared/survey/policy/special-purpose-registry.js';
import { AddressList } from '../../shared/survey/space/address-list.js';
import { parseWindow } from '../../shared/survey/space/parse-window.js';
import { Space } from '../../shared/survey/space/space.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { MemoryFrameSender } from '../support/memory-frame-sender.js';
import {
  HTTP_AND_HTTPS,
  loopOn,
  loopOver,
  plan,
  setStopAfter,
} from '../support/memory-send-loop.js';
import { KEY } from '../support/replies.js';
import { excluding } from '../support/send-filters.js';

const ipv6 = (texts: readonly string[], except: readonly string[] = []): Destinations => {
  const { words } = Ranges6.of(texts.map(parsePrefix6), except.map(parsePrefix6));
  return { family: 6, words };
};

function batchOf(targets: readonly Target[]): ProbeBatch {
  const batch = new ProbeBatch(targets.length);
  for (const target of targets) batch.add(target);
  return batch;
}

describe('the send filter', () => {
  const keeps = (sendFilter: SendFilter, address: number) => {
    const batch = batchOf([Target.ipv4(address, 80)]);
    sendFilter.filter(batch, 4, () => {});
    return batch.count === 1;
  };

  test('holds back exactly the given IPv4 addresses', () => {
    const sendFilter = excluding(SPECIAL);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (address) => {
        expect(keeps(sendFilter, address)).toBe(!SPECIAL.contains(address));
      }),
    );
    for (const { from, to } of SPECIAL) {
      expect(keeps(sendFilter, from)).toBe(false);
      expect(keeps(sendFilter, to - 1)).toBe(false);
      if (from > 0) expect(keeps(sendFilter, from - 1)).toBe(!SPECIAL.contains(from - 1));
    }
  });

  test('holds back exactly the given IPv6 addresses', () => {
    const special = [parsePrefix6('2001:db8::/32'), parsePrefix6('::1/128')];
    const blocked = Ranges6.of(special, [parsePrefix6('2001:db8:42::/48')]);
    const sendFilter = excluding(Ranges.none, blocked);
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
    const batch = batchOf(targets);
    const heldBack: number[] = [];
    sendFilter.filter(batch, 6, (row) => heldBack.push(row));
    expect(heldBack).toEqual([0, 1, 4]);
    const kept = Array.from({ length: batch.count }, (_, i) => {
      const target = new Target();
      const { w0, w1, w2, w3 } = batch;
      target.setWords([w0[i]!, w1[i]!, w2[i]!, w3[i]!]);
      return formatAddress(target);
    });
    expect(kept).toEqual(['2001:db8:42::1', '2001:db9::', '::2']);
  });
});

describe('the router', () => {
  test('gives each target its route, and reports targets that have none', () => {
    const range = (text: string): Destinations => {
      const { from, to } = Ranges.of([parseRange(text)]);
      return { family: 4, from, to };
    };
    const router = new Router([
      range('198.18.0.0/16'),
      range('198.19.0.0/16'),
      ipv6(['2001:db8::/32', '2001:db8:1:1::/64'], ['2001:db8:1::/48']),
      ipv6(['2001:db8:1::/48'], ['2001:db8:1:1::/64']),
    ]);
    const routeFor = (text: string) => {
      const target = new Target();
      target.setWords(parseWords(text));
      return router.routeFor(target);
    };
    const texts = ['198.18.1.1', '198.19.1.1', '198.20.1.1', '2001:db8::1', '2001:db8:1::1'];
    expect(texts.map(routeFor)).toEqual([0, 1, -1, 2, 3]);
    expect(['2a00::1'].map(routeFor)).toEqual([-1]);
  });
});

const targets = (from: number, to: number, of = plan) =>
  Array.from({ length: to - from }, (_, i) => {
    const target = of.targetAt(from + i);
    return `${formatAddress(target)}:${target.port}`;
  });

describe('the send loop', () => {
  test('sends each position of its job once, in order', () => {
    const frameSender = new MemoryFrameSender();
    const { loop, control } = loopOn(frameSender);
    loop.send({ key: KEY, slot: 0, from: 100, to: 700 });
    expect(frameSender.sent).toEqual(targets(100, 700));
    expect(control.sentUpToOf(0)).toBe(700);
    expect(control.hasEnded(0)).toBe(true);
    expect(control.probesSent).toBe(600);
  });

  /** The targets at those positions of [from, to) that have no known class; a repeat probes exactly these. */
  const silentIn = (from: number, to: number, classes: Uint8Array) =>
    targets(from, to).filter((_, i) => classes[from + i] === 0);
  const someKnown = () =>
    Uint8Array.from({ length: 1024 }, (_, i) => (i % 3 === 0 ? 0 : 1 + (i % 2)));

  test('repeats only the positions of a job that are silent, however few frames are accepted', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.uint8Array({ minLength: 900, maxLength: 900 }),
        (most, raw) => {
          const classes = raw.map((octet) => (octet < 128 ? 0 : octet & 3));
          const frameSender = new MemoryFrameSender((count) => Math.min(count, most));
          const { loop, control } = loopOn(frameSender);
          loop.send({ key: KEY, slot: 0, from: 100, to: 900, known: { classes, classesFrom: 0 } });
          const silent = silentIn(100, 900, classes);
          expect(frameSender.sent).toEqual(silent);
          expect([control.sentUpToOf(0), control.probesSentOf(0)]).toEqual([900, silent.length]);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('interrupts a first round for repeats, and then continues it from the position at which it stopped', () => {
    const classes = someKnown();
    const jobs: SendJob[] = [
      { key: KEY, slot: 0, from: 0, to: 900 },
      { key: KEY, slot: 1, from: 900, to: 1000 },
    ];
    const frameSender = new MemoryFrameSender((count) => {
      const { length } = frameSender.sent;
      if (length >= 300 && repeat !== undefined) {
        jobs.push(repeat);
        repeat = undefined;
        control.prepare(2, 10);
        control.announceJob();
      }
      return count;
    });
    let repeat: SendJob | undefined = {
      key: KEY,
      slot: 2,
      from: 10,
      to: 200,
      known: { classes, classesFrom: 0 },
    };
    const { loop, control } = loopOn(frameSender, { nextJob: () => jobs.shift() });
    control.prepare(1, 900);
    for (const _ of [...jobs]) control.announceJob();
    setStopAfter(control, () => control.hasEnded(1) && control.hasEnded(0));
    loop.run();
    const repeated = silentIn(10, 200, classes);
    const at = frameSender.sent.indexOf(repeated[0] as string, 300);
    expect(frameSender.sent.slice(at, at + repeated.length)).toEqual(repeated);
    const others = [
      ...frameSender.sent.slice(0, at),
      ...frameSender.sent.slice(at + repeated.length),
    ];
    expect(others).toEqual(targets(0, 1000));
    expect(at).toBeLessThan(450);
    expect([0, 1, 2].map((slot) => control.sentUpToOf(slot))).toEqual([900, 1000, 200]);
    expect(control.probesSentOf(2)).toBe(repeated.length);
  });

  test('holds back targets that are excluded while it sends, and records the position from which they are held back', () => {
    let version = 0;
    const filters: SendFilter[] = [];
    const frameSender = new MemoryFrameSender((count) => {
      if (frameSender.sent.length >= 300 && version === 0) {
        version = 1;
        filters.push(excluding(Ranges.of([{ from: 0, to: 2 ** 32 }]), Ranges6.none, 1));
        control.postVersion(1);
      }
      return count;
    });
    const { loop, control, unsent } = loopOn(frameSender, { nextFilter: () => filters.shift() });
    loop.send({ key: KEY, slot: 0, from: 0, to: 900 });
    const [before, after] = control.versionSpansOf(0);
    expect(before).toEqual({ version: 0, from: 0 });
    expect(after?.version).toBe(1);
    expect(frameSender.sent).toEqual(targets(0, after?.from ?? 0));
    expect(after?.from).toBeGreaterThan(299);
    expect(after?.from).toBeLessThan(450);
    expect(control.sentUpToOf(0)).toBe(900);
    const held = Array.from({ length: 900 - (after?.from ?? 0) }, (_, i) => (after?.from ?? 0) + i);
    expect(unsent).toEqual(held.map((position) => [position, UNSENT.EXCLUDED]));
    expect(control.enforcedVersion).toBe(1);
  });

  test('resends frames that the kernel did not accept, however few it accepts at a time', () => {
    let call = 0;
    const frameSender = new MemoryFrameSender((count) => {
      call++;
      return call % 7 === 0 ? { errno: 105 } : Math.min(count, 1 + (call % 3));
    });
    const { loop, control, unsent } = loopOn(frameSender);
    loop.send({ key: KEY, slot: 0, from: 0, to: 300 });
    expect(frameSender.sent).toEqual(targets(0, 300));
    expect(unsent).toEqual([]);
    expect(control.sendErrorCount(sendErrorOf(105))).toBeGreaterThan(10);
  });

  test('waits while an interface is down, counts each refusal, and loses no probe', () => {
    let calls = 0;
    const frameSender = new MemoryFrameSender((count) => (calls++ < 3 ? { errno: 100 } : count));
    const { loop, control, unsent } = loopOn(frameSender);
    loop.send({ key: KEY, slot: 0, from: 0, to: 50 });
    expect(frameSender.sent).toEqual(targets(0, 50));
    expect(SEND_ERRORS[sendErrorOf(100)]?.name).toBe('ENETDOWN');
    expect(control.sendErrorCount(sendErrorOf(100))).toBe(3);
    expect(unsent).toEqual([]);
  });

  test('sends one probe to each target, but none to those excluded while an interface was down', () => {
    const excluded = Ranges.of([{ from: 0xc6120000, to: 0xc6120100 }]);
    const postedVersion = excluding(excluded, Ranges6.none, 7);
    const filters: SendFilter[] = [];
    let calls = 0;
    const frameSender = new MemoryFrameSender((count) => {
      if (calls++ > 2) return count;
      if (calls === 2) {
        filters.push(postedVersion);
        control.postVersion(7);
      }
      return { errno: 100 };
    });
    const { loop, control, unsent } = loopOn(frameSender, { nextFilter: () => filters.shift() });
    loop.send({ key: KEY, slot: 0, from: 0, to: plan.size });
    const allowed = targets(0, plan.size).filter((text) => text.startsWith('198.18.1.'));
    expect(frameSender.sent).toEqual(allowed);
    expect(control.sentUpToOf(0)).toBe(plan.size);
    expect(unsent.map(([, code]) => code)).toEqual(new Array(512).fill(UNSENT.EXCLUDED));
  });

  test('never reports a sent probe as held back, however few of a batch were sent', () => {
    for (const taken of [0, 1, 5, 31]) {
      const filters: SendFilter[] = [];
      let calls = 0;
      const frameSender = new MemoryFrameSender((count) => {
        calls++;
        if (calls === 1) return Math.min(count, taken);
        if (calls > 2) return count;
        filters.push(excluding(Ranges.of([{ from: 0, to: 2 ** 32 }]), Ranges6.none, 1));
        control.postVersion(1);
        return { errno: 105 };
      });
      const { loop, control, unsent } = loopOn(frameSender, { nextFilter: () => filters.shift() });
      loop.send({ key: KEY, slot: 0, from: 0, to: 400 });
      expect(frameSender.sent).toEqual(targets(0, taken));
      const held = Array.from({ length: 400 - taken }, (_, i) => [i + taken, UNSENT.EXCLUDED]);
      expect(unsent).toEqual(held);
      expect(control.versionSpansOf(0).at(-1)).toEqual({ version: 1, from: taken });
    }
  });

  test('discards its frames and ends if the send queue accepts nothing for seconds', () => {
    const frameSender = new MemoryFrameSender(() => ({ errno: 105 }));
    const { loop, control, unsent } = loopOn(frameSender);
    loop.send({ key: KEY, slot: 0, from: 0, to: 300 });
    expect(frameSender.sent).toEqual([]);
    expect(unsent).toEqual(Array.from({ length: 300 }, (_, i) => [i, UNSENT.SEND_FAILED]));
    expect(control.hasEnded(0)).toBe(true);
  });

  test('skips a probe that the kernel refuses permanently, records its position and the reason, and continues', () => {
    const bad = new Set([3, 17]);
    let next = 0;
    let sendErrors = 0;
    const frameSender = new MemoryFrameSender(() => {
      if (bad.has(next)) {
        if (++sendErrors % 4 === 0) next++;
        return { errno: 22 };
      }
      next++;
      return 1;
    });
    const { loop, control, unsent } = loopOn(frameSender);
    loop.send({ key: KEY, slot: 0, from: 0, to: 100 });
    const all = targets(0, 100);
    expect(frameSender.sent).toEqual(all.filter((_, i) => !bad.has(i)));
    expect(unsent).toEqual([...bad].map((position) => [position, UNSENT.SEND_FAILED]));
    expect(control.sentUpToOf(0)).toBe(100);
  });

  test('holds back targets that the send filter blocks, and counts them', () => {
    const frameSender = new MemoryFrameSender();
    const blocked = Ranges.of([{ from: 0xc6120000, to: 0xc6120080 }]);
    const { loop, unsent } = loopOn(frameSender, { blocked });
    loop.send({ key: KEY, slot: 0, from: 0, to: plan.size });
    expect(unsent).toHaveLength(256);
    for (const [position, code] of unsent) {
      expect(code).toBe(UNSENT.BLOCKED);
      expect(blocked.contains(plan.targetAt(position).w3)).toBe(true);
    }
    const kept = targets(0, plan.size).filter(
      (text) => Number(text.split(/[.:]/)[3]) >= 128 || text.startsWith('198.18.1.'),
    );
    expect(frameSender.sent).toEqual(kept);
  });

  test('stops when its job is abandoned, and reports up to which position it has sent', () => {
    const frameSender = new MemoryFrameSender();
    const { loop, control } = loopOn(frameSender);
    frameSender.take = (count) => {
      if (frameSender.sent.length > 128) control.abandon(0);
      return count;
    };
    loop.send({ key: KEY, slot: 0, from: 0, to: plan.size });
    expect(control.hasEnded(0)).toBe(true);
    expect(control.sentUpToOf(0)).toBe(frameSender.sent.length);
    expect(frameSender.sent.length).toBeLessThan(400);
  });

  test('shares a job with other senders so that together they send each position once', () => {
    const big = new Plan(
      Space.ofIpv4(Ranges.of([{ from: 0xc6120000, to: 0xc6122000 }]), [80] as ProbePort[]),
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
        const probesSent: string[] = [];
        for (let index = 0; index < count; index++) {
          const frameSender = new MemoryFrameSender();
          const { loop, control } = loopOn(frameSender, {
            senderIndex: { index, count },
            plan: big,
          });
          loop.send({ key: KEY, slot: 0, from, to });
          expect(control.sentUpToOf(0)).toBe(to);
          probesSent.push(...frameSender.sent);
        }
        expect(probesSent.sort()).toEqual(targets(from, to, big).sort());
      }
    }
  });

  test('sends a space of both families by several egress routes, each target once', () => {
    const mixed = new Plan(
      new Space({
        ipv4: Ranges.of([parseRange('198.18.0.0/24'), parseRange('198.19.0.0/24')]),
        windows: [parseWindow('2001:db8::/48-56@::1', '7')],
        hitlist: AddressList.none,
        ports: HTTP_AND_HTTPS,
        pairs: AddressList.none,
      }),
      '7',
      4096,
    );
    const range = (text: string): Destinations => {
      const { from, to } = Ranges.of([parseRange(text)]);
      return { family: 4, from, to };
    };
    const destinations: Destinations[] = [
      range('198.18.0.0/16'),
      range('198.19.0.0/16'),
      ipv6(['::/0']),
    ];
    const frameSenders = [
      new MemoryFrameSender(),
      new MemoryFrameSender(),
      new MemoryFrameSender(undefined, 64),
    ];
    const { loop } = loopOver(frameSenders, destinations, { plan: mixed });
    loop.send({ key: KEY, slot: 0, from: 0, to: mixed.size });
    expect(frameSenders.map(({ sent }) => sent.length)).toEqual([512, 512, 512]);
    expect(frameSenders.flatMap(({ sent }) => sent).sort()).toEqual(
      targets(0, mixed.size, mixed).sort(),
    );
    expect(frameSenders[1]!.sent.every((text) => text.startsWith('198.19.'))).toBe(true);
  });
});
