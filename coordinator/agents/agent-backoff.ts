/**
 * Backoff per agent (multiplicative decrease, multiplicative increase): throttles an agent whose capture
 * drops frames (packet loss on our side) or whose kernel refuses to send. A full send queue is no error, but
 * an agent that has one is granted little more than it uses, and the rest goes to the others.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity } from '../../shared/bus/heartbeat.js';

const BACK_OFF = 0.7;
const RECOVERY = 1.15;
/** Lower limit of the cap, packets per second: with fewer probes, recovery could not be observed. */
const CAP_MIN = 10;
/** An agent with a full send queue is limited if it sends less than this share of its grant. */
const USED_SHARE = 0.8;
const HEADROOM = 1.25;
/** errno names of a full send queue. */
const QUEUE_FULL = ['EAGAIN', 'ENOBUFS', 'ENOMEM', 'EBUSY'];
/** The reply rate is computed over this window. */
export const WINDOW_MILLIS = 10_000;

/** Probes sent and first replies received within a window. */
export interface ReplyRate {
  readonly probesSent: number;
  readonly replies: number;
}

interface Sample extends ReplyRate {
  /** Our monotonic clock. */
  readonly at: number;
}

export class AgentBackoff {
  /** Packets per second that the agent is granted at most; infinite if nothing limits it. */
  cap = Number.POSITIVE_INFINITY;
  #last: Activity | undefined;
  readonly #samples: Sample[] = [];

  /**
   * Updates the backoff from the activity that a heartbeat reports.
   * @param granted packets per second that were granted before this heartbeat
   */
  update(activity: Activity, granted: number, now: number): void {
    const last = this.#last;
    const sampledAt = this.#samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    if (now - sampledAt < LIMITS.heartbeatMillis / 2) return; // an extra heartbeat
    this.#last = activity;
    const { probesSent, replies } = activity;
    this.#samples.push({ at: now, probesSent, replies });
    while ((this.#samples[1]?.at ?? now) <= now - WINDOW_MILLIS) this.#samples.shift();
    if (last === undefined) return;
    const used = Math.min(activity.rate, granted, this.cap);
    if (isStruggling(last, activity)) this.cap = Math.max(CAP_MIN, BACK_OFF * used);
    else if (
      isQueueFull(last, activity) &&
      activity.hasWork &&
      activity.rate < USED_SHARE * granted
    ) {
      this.cap = Math.max(CAP_MIN, HEADROOM * used);
    } else if (activity.hasWork) this.cap *= RECOVERY;
    if (this.cap > 10 * Math.max(1, granted)) this.cap = Number.POSITIVE_INFINITY;
  }

  get replyRate(): ReplyRate {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return { probesSent: 0, replies: 0 };
    return {
      probesSent: last.probesSent - first.probesSent,
      replies: last.replies - first.replies,
    };
  }
}

function isStruggling(before: Activity, after: Activity): boolean {
  const increase = (read: (activity: Activity) => number) => read(after) - read(before);
  const dropped = increase(({ ioStats }) => ioStats.framesDropped + ioStats.interfaceDropped);
  const received = increase(({ ioStats }) => ioStats.framesReceived);
  if (dropped > 0 && dropped > LIMITS.dropShareMax * (received + dropped)) return true;
  return (
    increase(({ ioStats }) => sum(ioStats.sendErrors, (name) => !QUEUE_FULL.includes(name))) > 0
  );
}

function isQueueFull(before: Activity, after: Activity): boolean {
  const full = ({ ioStats }: Activity) =>
    sum(ioStats.sendErrors, (name) => QUEUE_FULL.includes(name));
  return full(after) > full(before);
}

function sum(
  counts: Readonly<Record<string, number>>,
  isCounted: (name: string) => boolean,
): number {
  const entries = Object.entries(counts).filter(([name]) => isCounted(name));
  return entries.reduce((total, [, count]) => total + count, 0);
}
