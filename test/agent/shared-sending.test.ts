import { expect, test } from 'vitest';
import { Desk } from '../../agent/send/desk.js';
import { SharedSending } from '../../agent/send/shared-sending.js';

const SLOT = 3;

test('an order that is forgotten neither counts nor stops the next one in its place', () => {
  const desk = new Desk();
  const freed: number[] = [];
  const order = (from: number) => {
    desk.prepare(SLOT, from);
    return new SharedSending([desk], { slot: SLOT, from }, () => freed.push(from));
  };
  const first = order(0);
  desk.mark(SLOT, 7, 0);
  desk.setProgress(SLOT, 100, 1, 2);
  desk.end(SLOT);
  const { progress, marks } = first;
  first.forget();
  expect(freed).toEqual([0]);

  const second = order(5000);
  desk.mark(SLOT, 8, 5000);
  desk.setProgress(SLOT, 5050, 0, 0);
  expect(first.hasEnded).toBe(true);
  expect(first.progress).toEqual(progress);
  expect(first.marks).toEqual(marks);
  first.abandon();
  expect(desk.isAbandoned(SLOT)).toBe(false);
  expect(second.progress.sent).toBe(5050);
  expect(() => first.forget()).toThrow();
});
