/** The agent's Prometheus metrics, read from the counters of its joined surveys at each scrape. */
import type { Metrics, Reading } from '../shared/telemetry/prometheus.js';
import type { Agent } from './agent.js';
import type { JoinedSurvey } from './joined-survey.js';

export function declareMetrics(metrics: Metrics, agent: Agent): void {
  const surveys = () => agent.surveys.all;
  const perSurvey = (read: (joined: JoinedSurvey) => number) => (): readonly Reading[] =>
    surveys().map((joined) => ({ labels: { survey: joined.survey.id }, value: read(joined) }));
  const counter = (name: string, help: string, read: (joined: JoinedSurvey) => number) =>
    metrics.counter(`transect_agent_${name}_total`, help, ['survey'], perSurvey(read));

  counter('probes_sent', 'Probes sent.', ({ networkIo }) => networkIo.sender.totals.probesSent);
  counter('replies_duplicate', 'Duplicate replies.', ({ replies }) => replies.duplicate);
  counter('replies_late', 'Late replies: their target had settled.', ({ replies }) => replies.late);
  counter(
    'replies_other_port',
    'Replies from another port than the one probed, which the survey does not accept.',
    ({ replies }) => replies.otherPort,
  );
  counter(
    'replies_other_address',
    'Replies from another address than the one probed, which the survey does not accept.',
    ({ replies }) => replies.otherAddress,
  );
  counter('frames_captured', 'Frames that passed the capture filter.', ({ ioStats }) => {
    return ioStats.framesReceived;
  });
  counter(
    'frames_dropped',
    'Frames that the kernel dropped, because the agent was too slow.',
    ({ ioStats }) => {
      return ioStats.framesDropped;
    },
  );
  counter('frames_interface_dropped', 'Frames that the interface dropped.', ({ ioStats }) => {
    return ioStats.interfaceDropped;
  });
  metrics.counter(
    'transect_agent_send_errors_total',
    'Refused system calls, by errno name.',
    ['survey', 'errno'],
    () =>
      surveys().flatMap(({ survey, networkIo }) =>
        Object.entries(networkIo.sender.totals.sendErrors).map(([errno, value]) => ({
          labels: { survey: survey.id, errno },
          value,
        })),
      ),
  );
  declareByLabel(metrics, surveys);
}

/** Metrics with a further label. */
function declareByLabel(metrics: Metrics, surveys: () => readonly JoinedSurvey[]): void {
  metrics.gauge('transect_agent_leases', 'Shards held.', ['survey'], () =>
    surveys().map(({ survey, held }) => ({ labels: { survey: survey.id }, value: held.size })),
  );
  metrics.counter(
    'transect_agent_replies_total',
    'New replies, by class.',
    ['survey', 'class'],
    () =>
      surveys().flatMap(({ survey, replies, classNames }) =>
        classNames.slice(1).map((name, i) => ({
          labels: { survey: survey.id, class: name },
          value: replies.byCode[i + 1] ?? 0,
        })),
      ),
  );
  metrics.counter(
    'transect_agent_frames_rejected_total',
    'Captured frames that are not replies to our probes, by reason.',
    ['survey', 'reason'],
    () =>
      surveys().flatMap(({ survey, rejects }) =>
        Object.entries(rejects).map(([reason, value]) => ({
          labels: { survey: survey.id, reason },
          value,
        })),
      ),
  );
}
