import { expect, test } from 'vitest';
import { Desk } from '../../agent/send/desk.js';
import { SharedSending } from '../../agent/send/shared-sending.js';
import { UNSENT } from '../../shared/survey/unsent.js';

const SLOT = 3;

test('an order that is forgotten neither counts nor stops the next one in its place', () => {
  const desk = new Desk();
  const freed: number[] = [];
  const order = (from: number) => {
    desk.prepare(SLOT, from);
    const free = () => freed.push(from);
    return new SharedSending({ desks: [desk], slot: SLOT, hear: () => {}, free });
  };
  const first = order(0);
  desk.mark(SLOT, 7, 0);
  desk.setSent(SLOT, 100);
  desk.end(SLOT);
  const { marks } = first;
  first.pass({ position: 5, code: UNSENT.EXCLUDED });
  first.forget();
  expect(freed).toEqual([0]);

  const second = order(5000);
  desk.mark(SLOT, 8, 5000);
  desk.setSent(SLOT, 5050);
  expect(first.hasEnded).toBe(true);
  expect(first.sent).toBe(100);
  expect(first.marks).toEqual(marks);
  expect(first.takeUnsent()).toEqual([{ position: 5, code: UNSENT.EXCLUDED }]);
  expect(first.takeUnsent()).toEqual([]);
  first.abandon();
  expect(desk.isAbandoned(SLOT)).toBe(false);
  expect(second.sent).toBe(5050);
  expect(() => first.forget()).toThrow();
});
