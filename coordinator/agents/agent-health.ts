/**
 * How an agent fares, from its heartbeats: how fast it may be asked to go, and whether it still hears.
 *
 * *Back-off.* Where its capture drops frames, or the kernel refuses what it sends, what it is lent at
 * most falls to a part of what it did, and rises again while all is well. A full queue is no error,
 * but who cannot use what he was lent is lent little more than he uses: the rest goes to the others.
 *
 * *Hearing.* Positions are a random order, so every agent's hit rate is the same but for chance and
 * for what its network hides. One that hears next to nothing where its peers' hit rate promises
 * dozens of replies is deaf, whatever the cause; its silence says nothing about its targets.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity } from '../../shared/bus/interfaces.js';

const BACK_OFF = 0.7;
const RECOVERY = 1.15;
/** An agent is not held below this, or it could never show that it is well again. */
const CAP_MIN = 10;
/** It was lent more than it could use when it sent less than this share of it. */
const USED_SHARE = 0.8;
const HEADROOM = 1.25;
/** What a kernel says whose queue is full. */
const FULL = ['EAGAIN', 'ENOBUFS', 'ENOMEM', 'EBUSY'];
/** Hearing is judged over this. */
const WINDOW_MILLIS = 10_000;
/** Replies to be expected before silence says anything: fewer than a tenth of 40 come by chance once in 10^11. */
const EXPECTED_MIN = 40;
const DEAF_SHARE = 0.1;

interface Sample {
  readonly at: number;
  readonly probesSent: number;
  readonly replies: number;
}

/** Probes and replies within the window. */
export interface ReplyRate {
  readonly probesSent: number;
  readonly replies: number;
}

export class Health {
  /** Packets per second it is lent at most, as far as its health goes. */
  cap = Number.POSITIVE_INFINITY;
  #before: Activity | undefined;
  readonly #samples: Sample[] = [];

  /** Takes a heartbeat. @param lent packets per second that the agent was lent */
  see(activity: Activity, lent: number, now: number): void {
    const before = this.#before;
    const last = this.#samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    if (now - last < LIMITS.checkpointMillis / 2) return; // asked out of turn
    this.#before = activity;
    const { probesSent, replies } = activity;
    this.#samples.push({ at: now, probesSent, replies });
    while ((this.#samples[1]?.at ?? now) <= now - WINDOW_MILLIS) this.#samples.shift();
    if (before === undefined) return;
    const used = Math.min(activity.rate, lent, this.cap);
    if (isStruggling(before, activity)) this.cap = Math.max(CAP_MIN, BACK_OFF * used);
    else if (isFull(before, activity) && activity.hasWork && activity.rate < USED_SHARE * lent) {
      this.cap = Math.max(CAP_MIN, HEADROOM * used);
    } else if (activity.hasWork) this.cap *= RECOVERY;
    if (this.cap > 10 * Math.max(1, lent)) this.cap = Number.POSITIVE_INFINITY;
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
  const grown = (read: (activity: Activity) => number) => read(after) - read(before);
  const framesDropped = grown(({ ioStats }) => ioStats.framesDropped + ioStats.interfaceDropped);
  const framesReceived = grown(({ ioStats }) => ioStats.framesReceived);
  if (framesDropped > 0 && framesDropped > LIMITS.dropShareMax * (framesReceived + framesDropped))
    return true;
  return grown(({ ioStats }) => sum(ioStats.sendErrors, (name) => !FULL.includes(name))) > 0;
}

function isFull(before: Activity, after: Activity): boolean {
  const full = ({ ioStats }: Activity) => sum(ioStats.sendErrors, (name) => FULL.includes(name));
  return full(after) > full(before);
}

function sum(counts: Readonly<Record<string, number>>, matters: (name: string) => boolean): number {
  return Object.entries(counts).reduce(
    (all, [name, count]) => (matters(name) ? all + count : all),
    0,
  );
}

/**
 * Who cannot be believed, and why; an agent of whom nobody can tell is not among them.
 * @param hearings what agents say they sent and heard lately
 * @param settled what agents have settled, and how much of it was answered: by this they are compared, so
 *   that nobody who boasts, without a lease, silences those who work
 */
export function agentsWithoutReplies(
  replyRates: ReadonlyMap<string, ReplyRate>,
  settled: ReadonlyMap<string, ReplyRate>,
): Map<string, string> {
  // Those who heard enough to know their rate.
  const known = [...settled].filter(([, { replies }]) => replies >= EXPECTED_MIN);
  const rateOf = ({ probesSent, replies }: ReplyRate) => replies / Math.max(1, probesSent);
  known.sort(([, a], [, b]) => rateOf(a) - rateOf(b));
  const places = new Map(known.map(([agent], place) => [agent, place]));
  const suspects = new Map<string, string>();
  for (const [agent, own] of replyRates) {
    // The middle one of the others, so that no single liar decides.
    const place = places.get(agent) ?? known.length;
    const others = known.length - (places.has(agent) ? 1 : 0);
    const middle = Math.floor((others - 1) / 2);
    const peer = known[middle < place ? middle : middle + 1];
    const reason = peer && noReplies(own, rateOf(peer[1]));
    if (reason !== undefined) suspects.set(agent, reason);
  }
  return suspects;
}

function noReplies(own: ReplyRate, hitRate: number): string | undefined {
  const expected = own.probesSent * hitRate;
  if (expected < EXPECTED_MIN) return undefined;
  if (own.replies >= DEAF_SHARE * expected) return undefined;
  const percent = (100 * hitRate).toPrecision(2);
  return (
    `hears nothing: ${own.replies} replies to ${own.probesSent} probes in ${WINDOW_MILLIS / 1000} s, ` +
    `where its peers hear ${percent} %; what it had not settled is probed again by others`
  );
}
