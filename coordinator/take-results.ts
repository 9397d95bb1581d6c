/** Takes the result batches from the stream, and hands each to its survey. */
import { describeError } from '../shared/base/faults.js';
import type { CoordinatorBus, ResultDelivery } from '../shared/bus/interfaces.js';
import type { ResultBatch } from '../shared/survey/results.js';
import { isOver } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import type { SurveyRun } from './survey/survey-run.js';

export interface TakeResultsDeps {
  readonly bus: Pick<CoordinatorBus, 'results' | 'surveys'>;
  readonly log: Log;
  readonly running: ReadonlyMap<string, SurveyRun>;
  /** Called with each accepted batch. The next batch waits until this resolves. */
  readonly onBatch?: (run: SurveyRun, batch: ResultBatch) => Promise<void>;
}

export async function takeResults(deps: TakeResultsDeps, signal: AbortSignal): Promise<void> {
  const { bus, running, onBatch } = deps;
  for await (const delivery of bus.results.consume(signal)) {
    const run = running.get(delivery.batch.survey);
    if (run === undefined) void acknowledgeIfOver(delivery, deps);
    else if (run.onBatch(delivery)) await onBatch?.(run, delivery.batch);
  }
}

/** Removes a batch from the stream if its survey is over or unknown; otherwise the batch stays. */
async function acknowledgeIfOver(
  delivery: ResultDelivery,
  { bus, log }: TakeResultsDeps,
): Promise<void> {
  const id = delivery.batch.survey;
  try {
    const survey = (await bus.surveys.read(id))?.value;
    if (survey === undefined || isOver(survey.state)) delivery.acknowledge();
  } catch (error) {
    const details = { survey: id, error: describeError(error) };
    log.error(details, 'cannot read survey record; result batch left in the stream');
  }
}
