/**
 * Watches a scan until its manifest is written: shows progress, reacts to interrupts. The
 * second interrupt takes effect within seconds, even if everything else is blocked.
 */
import { systemClock } from '../../../shared/base/clock.js';
import { toFaultCode } from '../../../shared/base/exit-codes.js';
import { Fault } from '../../../shared/base/faults.js';
import { stopController } from '../../../shared/base/stop.js';
import type { SurveyStatus } from '../../../shared/survey/status.js';
import type { Coordinator } from '../../coordinator.js';
import type { SurveyRun } from '../../survey/survey-run.js';
import { progressLine, rewriteLine } from '../output/print.js';
import type { ChildAgents } from './child-agents.js';
import type { Interrupts } from './interrupts.js';
import type { ScanFlags } from './scan-flags.js';

/** How the survey ends once its limit on rows is reached; only printed rows count towards the limit. */
export interface Ending {
  /** True once it was reached. */
  isEnough: boolean;
  /** Ends the survey as the first interrupt does: late replies are waited for. */
  cut: () => void;
}

export interface Watched {
  readonly run: SurveyRun;
  readonly coordinator: Coordinator;
  readonly agents: ChildAgents;
  readonly flags: ScanFlags;
  readonly interrupts: Interrupts;
  readonly ending: Ending;
  readonly say: (text: string) => void;
}

const PROGRESS_MILLIS = 1000;
/** After the second interrupt, the manifest has to be written within this time. */
const STOP_MILLIS = 3000;

/** @throws the Fault of agents that cannot work, or STOPPED if the manifest was not written in time */
export async function untilEnded(watched: Watched): Promise<SurveyStatus> {
  const { run, agents, interrupts, ending, say } = watched;
  const watch = stopController();
  ending.cut = () => {
    if (ending.isEnough) return;
    ending.isEnough = true;
    void run.cancel(false, 'max-results');
  };
  const hurried = new Promise<never>((_, reject) => {
    interrupts.listen((count) => {
      if (count === 1) say('\nstopping: waiting for late replies; Ctrl-C again to stop now');
      else void agents.stop(true);
      void run.cancel(count > 1);
      if (count === 2) {
        void systemClock.sleep(STOP_MILLIS, watch.signal).then(() => {
          if (!watch.signal.aborted) reject(tooLate(run));
        });
      }
    });
  });
  try {
    const watching = watchRun(watched, watch.signal);
    return await Promise.race([run.ended, agents.failed, watching, hurried]);
  } finally {
    watch.abort();
  }
}

function tooLate(run: SurveyRun): Fault {
  const { problem } = run.status;
  const reason = problem === '' ? 'it could not be written in time' : problem;
  return new Fault(
    'STOPPED',
    `stopped; everything that is stored is complete, but the rest is lost: ${reason}`,
    {
      file: run.folder.path,
    },
  );
}

/**
 * Shows progress until `signal` aborts. Rejects if no agent can work; otherwise
 * never settles, because the caller waits for the end of the survey itself.
 */
async function watchRun(
  { run, coordinator, flags, say }: Watched,
  signal: AbortSignal,
): Promise<never> {
  const isTerminal = process.stderr.isTTY === true;
  let problem = '';
  while (!signal.aborted) {
    await systemClock.sleep(PROGRESS_MILLIS, signal);
    if (signal.aborted) break;
    const { status } = run;
    if (isTerminal && !flags.quiet) rewriteLine(progressLine(status));
    else say(progressLine(status));
    const agents = coordinator.agents.statuses([run.dispatch.agents]);
    const refusal = agents.find(({ state }) => state === 'refused');
    const refused = refusal?.problem ?? '';
    if (refused !== '' && agents.every(({ state }) => state === 'refused')) {
      // Agents that have worked before may work again: an interface may come back.
      if (status.probesSent === 0)
        throw new Fault(toFaultCode(refusal?.problemCode ?? ''), refused);
      if (refused !== problem) say(`\nwaiting: ${refused}`);
    }
    problem = refused;
  }
  return new Promise<never>(() => {});
}
