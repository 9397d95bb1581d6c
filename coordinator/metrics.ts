/** The coordinator's Prometheus metrics, read from the counters of its surveys at each scrape. */
import { AGENT_STATES, type SurveyStatus } from '../shared/survey/status.js';
import { UNSENT_NAMES } from '../shared/survey/unsent.js';
import type { Metrics, Reading } from '../shared/telemetry/prometheus.js';
import type { Coordinator } from './coordinator.js';

/** @param leading returns the coordinator while this process leads, otherwise undefined */
export function declareMetrics(metrics: Metrics, leading: () => Coordinator | undefined): void {
  const exposed = () => {
    const coordinator = leading();
    return coordinator?.surveys.exposedAt(coordinator.clock.wall()) ?? [];
  };
  const perSurvey = (read: (status: SurveyStatus) => number) => (): readonly Reading[] =>
    exposed().map(({ status }) => ({
      labels: { survey: status.survey },
      value: read(status),
    }));
  const gauge = (name: string, help: string, read: (status: SurveyStatus) => number) =>
    metrics.gauge(`transect_${name}`, help, ['survey'], perSurvey(read));
  const counter = (name: string, help: string, read: (status: SurveyStatus) => number) =>
    metrics.counter(`transect_${name}_total`, help, ['survey'], perSurvey(read));

  gauge('targets', 'Targets planned.', ({ targets }) => targets);
  gauge('targets_covered', 'Targets in stored shards.', ({ targetsCovered }) => targetsCovered);
  gauge('coverage_ratio', 'Covered targets divided by planned ones.', ({ coverage }) => coverage);
  gauge('rate_pps', 'Probes per second over the last second.', ({ rate }) => rate);
  gauge('rate_budget_pps', 'Rate limit of the survey, probes per second.', ({ budget }) => budget);
  gauge('shards_stored', 'Shards stored.', ({ shardsStored }) => shardsStored);
  gauge('shards', 'Shards planned.', ({ shards }) => shards);
  gauge('survey_agents', 'Agents at work on a survey.', ({ agents }) => agents);
  counter('probes_sent', 'Probes sent, including repeated ones.', ({ probesSent }) => probesSent);
  metrics.counter(
    'transect_targets_unsent_total',
    'Covered targets without a probe, by reason.',
    ['survey', 'reason'],
    () =>
      exposed().flatMap(({ status }) =>
        UNSENT_NAMES.map((reason) => ({
          labels: { survey: status.survey, reason },
          value: status[reason],
        })),
      ),
  );
  gauge('icmp_limited', 'Hosts or networks that limit the rate of ICMP errors.', (status) => {
    return status.icmpLimited.count;
  });
  gauge('slowed_networks', 'Networks slowed because they prohibit probes.', (status) => {
    return status.slowedNetworks.count;
  });
  counter('batches_set_aside', 'Result batches whose rows cannot be written.', (status) => {
    return status.batchesSetAside;
  });
  counter('rows_stored', 'Rows in stored segments.', ({ rowsStored }) => rowsStored);
  counter('frames_dropped', 'Frames dropped on capture.', ({ framesDropped }) => framesDropped);
  gauge('stalled', '1 while results cannot be stored, or not fast enough.', ({ problem }) =>
    problem === '' ? 0 : 1,
  );
  metrics.gauge('transect_leading', '1 if this process leads.', [], () => [
    { labels: {}, value: leading() === undefined ? 0 : 1 },
  ]);
  metrics.gauge('transect_agents', 'Agents by state.', ['state'], () => {
    const states = new Map(AGENT_STATES.map((state) => [state, 0]));
    const coordinator = leading();
    for (const { state } of coordinator?.agents.statuses(coordinator.surveys.agents) ?? [])
      states.set(state, (states.get(state) ?? 0) + 1);
    return [...states].map(([state, value]) => ({ labels: { state }, value }));
  });
}
