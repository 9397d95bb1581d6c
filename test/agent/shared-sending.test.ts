import { expect, test } from 'vitest';
import { SenderControl } from '../../agent/send/sender-control.js';
import { SharedSending } from '../../agent/send/threads/shared-sending.js';
import { UNSENT } from '../../shared/survey/unsent.js';

const SLOT = 3;

test('a job whose slot was released is unaffected by the next job in that slot, and cannot stop that job', () => {
  const control = new SenderControl();
  const freed: number[] = [];
  const job = (from: number) => {
    control.prepare(SLOT, from);
    const free = () => freed.push(from);
    return new SharedSending({ controls: [control], slot: SLOT, drainUnsent: () => {}, free });
  };
  const first = job(0);
  control.addVersionSpan(SLOT, 7, 0);
  control.setSentUpTo(SLOT, 100);
  control.end(SLOT);
  const { versionSpans } = first;
  first.addUnsent({ position: 5, code: UNSENT.EXCLUDED });
  first.releaseSlot();
  expect(freed).toEqual([0]);

  const second = job(5000);
  control.addVersionSpan(SLOT, 8, 5000);
  control.setSentUpTo(SLOT, 5050);
  expect(first.hasEnded).toBe(true);
  expect(first.sentUpTo).toBe(100);
  expect(first.versionSpans).toEqual(versionSpans);
  expect(first.takeUnsent()).toEqual([{ position: 5, code: UNSENT.EXCLUDED }]);
  expect(first.takeUnsent()).toEqual([]);
  first.abandon();
  expect(control.isAbandoned(SLOT)).toBe(false);
  expect(second.sentUpTo).toBe(5050);
  expect(() => first.releaseSlot()).toThrow();
});

test('a job that is interrupted for repeats and resumes keeps one span for each version', () => {
  const control = new SenderControl();
  control.prepare(SLOT, 0);
  for (let from = 0; from < 5000; from += 100) control.addVersionSpan(SLOT, 7, from);
  control.addVersionSpan(SLOT, 8, 5000);
  control.addVersionSpan(SLOT, 8, 6000);
  expect(control.versionSpansOf(SLOT)).toEqual([
    { version: 7, from: 0 },
    { version: 8, from: 5000 },
  ]);
});
