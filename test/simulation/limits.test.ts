/** Limits of surveys, with many agents, in virtual time. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verify } from '../../coordinator/evidence/verification.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { limitReached, type SurveyLimits } from '../../shared/survey/survey-limits.js';
import { limitsOf } from '../support/tcp-syn-set.js';
import { DATA, World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
const ADDRESSES = 4000;

async function surveyWith(limits: Partial<SurveyLimits>, rate = 2000) {
  const world = new World(11);
  world.startCoordinator();
  for (let i = 0; i < 3; i++) world.join();
  const all = limitsOf({ size: 2 * ADDRESSES });
  const request = { addresses: ADDRESSES, rate: rate as Pps, limits: { ...all, ...limits } };
  const survey = await world.clock.runUntil(world.launch(request), LIMIT_MILLIS);
  const ended = await world.clock.runUntil(world.ended(survey.id), LIMIT_MILLIS);
  const asking = world.broker.people.control.ask('status', { survey: survey.id });
  const { statuses } = await world.clock.runUntil(asking, LIMIT_MILLIS);
  const plan = await world.planOf(survey);
  const verdict = await verify({ survey, plan, folder: join(DATA, survey.id), disk: world.disk });
  expect(verdict.examples).toEqual([]);
  return { world, survey: ended, status: statuses[0]!, plan };
}

describe('a simulated survey by several agents', () => {
  test('covers exactly the first targets of the probing order, if their number is limited', async () => {
    const { world, survey, status, plan } = await surveyWith({ maxTargets: 1234 });
    expect(survey).toMatchObject({ state: 'done', endReason: '' });
    expect(status).toMatchObject({ targets: 1234, targetsCovered: 1234, probesSent: 1234 });
    const probed = world.internet.shots.map(({ position }) => position).sort((a, b) => a - b);
    expect(probed).toEqual(Array.from({ length: 1234 }, (_, position) => position));
    expect(plan.positionOf(plan.targetAt(1233))).toBe(1233);
    expect(plan.positionOf(plan.targetAt(1234))).toBe(-1);
    world.close();
  });

  test('ends with enough rows, long before all targets are covered', async () => {
    const { world, survey, status } = await surveyWith({ maxResults: 500 });
    expect(survey).toMatchObject({ state: 'cancelled', endReason: 'max-results' });
    expect(status.rowsStored).toBeGreaterThanOrEqual(500);
    expect(status.targetsCovered).toBe(status.probesSent);
    expect(status.targetsCovered).toBeLessThan(8000);
    world.close();
  });

  test('ends at its maximum runtime, and stores the results of the probes that were in flight', async () => {
    const { world, survey, status } = await surveyWith({ maxRuntime: 2500 as Millis }, 1000);
    expect(survey).toMatchObject({ state: 'cancelled', endReason: 'max-runtime' });
    const last = world.internet.shots.at(-1)!.at - world.internet.shots[0]!.at;
    expect(last).toBeLessThan(3000);
    expect(status.targetsCovered).toBe(world.internet.shots.length);
    world.close();
  });

  test('ends if too few targets answer', async () => {
    const low = await surveyWith({ minHitrate: 60 });
    expect(low.survey).toMatchObject({ state: 'cancelled', endReason: 'min-hitrate' });
    low.world.close();
    const high = await surveyWith({ minHitrate: 10 });
    expect(high.survey).toMatchObject({ state: 'done', endReason: '' });
    high.world.close();
  });
});

describe('a limit', () => {
  const limits = { maxTargets: 9, maxResults: 5, maxRuntime: 100 as Millis, minHitrate: 2 };
  test.each([
    [{ rows: 4, elapsed: 99, settled: 999, hits: 0 }, ''],
    [{ rows: 5, elapsed: 99, settled: 999, hits: 0 }, 'max-results'],
    [{ rows: 4, elapsed: 100, settled: 999, hits: 0 }, 'max-runtime'],
    [{ rows: 4, elapsed: 99, settled: 1000, hits: 19 }, 'min-hitrate'],
    [{ rows: 4, elapsed: 99, settled: 1000, hits: 20 }, ''],
  ])('turns the progress %o into the end reason "%s"', (progress, reason) => {
    expect(limitReached(limits, progress)).toBe(reason);
  });
});
