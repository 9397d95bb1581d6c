/** What an agent tells Prometheus, read from its missions' own counts at each scrape. */
import { CLASSIFICATION_NAMES } from '../shared/probe/classification.js';
import type { Metrics, Reading } from '../shared/telemetry/metrics.js';
import type { Agent } from './agent.js';
import type { Mission } from './mission.js';

export function declareMetrics(metrics: Metrics, agent: Agent): void {
  const missions = () => agent.missions.all;
  const perSurvey = (read: (mission: Mission) => number) => (): readonly Reading[] =>
    missions().map((mission) => ({ labels: { survey: mission.survey.id }, value: read(mission) }));
  const counter = (name: string, help: string, read: (mission: Mission) => number) =>
    metrics.counter(`transect_agent_${name}_total`, help, ['survey'], perSurvey(read));

  counter('probes_sent', 'Probes that left.', ({ station }) => station.sender.totals.sent);
  counter('replies_repeated', 'Replies after the first.', ({ repeated }) => repeated);
  counter('replies_late', 'Replies after their target had settled.', ({ late }) => late);
  counter('replies_elsewhere', 'Replies to other agents’ shards.', ({ elsewhere }) => elsewhere);
  counter('frames_captured', 'Frames the capture passed.', ({ equipment }) => {
    return equipment.received;
  });
  counter('frames_dropped', 'Frames the kernel dropped: we were too slow.', ({ equipment }) => {
    return equipment.dropped;
  });
  counter('frames_interface_dropped', 'Frames the interface dropped.', ({ equipment }) => {
    return equipment.interfaceDropped;
  });
  metrics.counter(
    'transect_agent_send_errors_total',
    'System calls that the kernel refused, by the name of the error.',
    ['survey', 'errno'],
    () =>
      missions().flatMap(({ survey, station }) =>
        Object.entries(station.sender.totals.refusals).map(([errno, value]) => ({
          labels: { survey: survey.id, errno },
          value,
        })),
      ),
  );
  metrics.gauge(
    'transect_agent_leases',
    'Shards held.',
    ['survey'],
    perSurvey(({ held }) => held.size),
  );
  metrics.counter(
    'transect_agent_replies_total',
    'First replies by class.',
    ['survey', 'class'],
    () =>
      missions().flatMap(({ survey, replies }) =>
        CLASSIFICATION_NAMES.slice(1).map((name, i) => ({
          labels: { survey: survey.id, class: name },
          value: replies[i + 1] ?? 0,
        })),
      ),
  );
  metrics.counter(
    'transect_agent_frames_rejected_total',
    'Frames that are no reply of ours, by reason.',
    ['survey', 'reason'],
    () =>
      missions().flatMap(({ survey, rejects }) =>
        Object.entries(rejects).map(([reason, value]) => ({
          labels: { survey: survey.id, reason },
          value,
        })),
      ),
  );
}
