/**
 * The other end of the wire: answers probes from a seed, so that the truth about every target can be
 * computed. Replies are real frames, delayed, repeated, and at times preceded by a reset that a
 * firewall sends before the SYN-ACK arrives.
 */

import type { Capture, OpenStation, Sending, Station } from '../../agent/ports.js';
import { Pacer } from '../../agent/send/pacer.js';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import { CLASSIFICATION } from '../../shared/probe/classification.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import { errorTo, probeOf, resetTo, synAckTo } from '../support/replies.js';

const SOURCE = mappedWords(0x64400001);
const SOURCE_PORT = 61007;
const STEP_MILLIS = 20;
const FRAME_OCTETS = 192;

/** An agent's link to the network. */
export interface Link {
  isDown: boolean;
}

export interface Shot {
  readonly at: number;
  readonly position: number;
}

export class PretendInternet {
  /** Every probe that left, by whomever. */
  readonly shots: Shot[] = [];
  readonly #clock: Clock;
  readonly #seed: number;

  constructor(clock: Clock, seed: number) {
    this.#clock = clock;
    this.#seed = seed;
  }

  /** What is true of a target: a `CLASSIFICATION`, `NONE` for silence. */
  truth(address: number, port: number): number {
    const dice = this.#roll(address, port, 1) % 8;
    if (dice < 2) return CLASSIFICATION.SYNACK;
    if (dice < 4) return CLASSIFICATION.RST;
    return dice === 4 ? CLASSIFICATION.ICMP : CLASSIFICATION.NONE;
  }

  /**
   * A station whose sender and capture live here. It falls silent when `dead` aborts, and while its
   * link is down nothing is heard, though probes leave.
   */
  station(dead: AbortSignal, link: Link): OpenStation {
    return async (survey, plan) => {
      if (link.isDown) throw new Fault('NO_ROUTE', 'the link is down');
      return this.#open(survey, plan, dead, link);
    };
  }

  #open(survey: Survey, plan: Plan, dead: AbortSignal, link: Link): Station {
    const clock = this.#clock;
    const view = new DataView(new ArrayBuffer(FRAME_OCTETS));
    let receive: (octets: number, timestamp: number) => void = () => {};
    const deliver = (frame: Uint8Array) => {
      if (dead.aborted || link.isDown) return;
      new Uint8Array(view.buffer).set(frame);
      receive(frame.length, clock.wall() * 1000);
    };
    const capture: Capture = {
      link: 'ip',
      view,
      isAlive: true,
      totals: { received: 0, dropped: 0, interfaceDropped: 0 },
      start(handler) {
        receive = handler;
      },
      close() {},
    };
    const totals = { sent: 0, refusals: {} };
    const grant = { rate: 0, until: 0 };
    const pacer = new Pacer(clock.monotonic());
    const queue: Job[] = [];
    const step = async () => {
      while (!dead.aborted) {
        const now = clock.monotonic();
        const rate = now < grant.until ? grant.rate : 0;
        let allowance = pacer.allowance(now, rate);
        for (let job = queue[0]; job !== undefined && allowance > 0; job = queue[0]) {
          while (!job.isAbandoned && job.sent < job.to && allowance > 0) {
            this.#probe(survey, plan, job.sent, deliver);
            job.sent++;
            totals.sent++;
            allowance--;
            pacer.spend(1);
          }
          if (job.sent < job.to && !job.isAbandoned) break;
          queue.shift();
        }
        for (const job of queue) if (job.isAbandoned) job.hasLeft = true;
        await clock.sleep(rate === 0 ? STEP_MILLIS : Math.min(STEP_MILLIS, pacer.pause(rate)));
      }
    };
    void step();
    return {
      captures: [capture],
      isPresent: () => !link.isDown,
      sender: {
        wire: 'pretend',
        totals,
        grant: (rate, until) => Object.assign(grant, { rate, until }),
        close: async () => {},
        send(from, to) {
          const job = new Job(from, to);
          queue.push(job);
          return job;
        },
      },
    };
  }

  #probe(survey: Survey, plan: Plan, position: number, deliver: (frame: Uint8Array) => void): void {
    this.shots.push({ at: this.#clock.monotonic(), position });
    const { w3: address, port, words } = plan.targetAt(position);
    const flow = { source: SOURCE, sourcePort: SOURCE_PORT, address: words, port };
    const probe = probeOf(flow, survey.key);
    const code = this.truth(address, port);
    const dice = this.#roll(address, port, 2);
    const after = (millis: number, frame: Uint8Array) =>
      void this.#clock.sleep(millis).then(() => deliver(frame));
    if (code === CLASSIFICATION.SYNACK) {
      if (dice % 5 === 0) after(5, resetTo(probe));
      after(10 + (dice % 700), synAckTo(probe));
      if (dice % 3 === 0) after(300 + (dice % 900), synAckTo(probe));
    } else if (code === CLASSIFICATION.RST) after(1 + (dice % 500), resetTo(probe));
    else if (code === CLASSIFICATION.ICMP) after(20 + (dice % 600), errorTo(probe));
  }

  #roll(address: number, port: number, salt: number): number {
    let mixed = Math.imul(address ^ this.#seed, 0x7feb352d) ^ Math.imul(port + salt, 0x846ca68b);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x7feb352d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }
}

class Job implements Sending {
  sent: number;
  readonly to: number;
  readonly lost = 0;
  readonly excluded = 0;
  isAbandoned = false;
  hasLeft = false;

  constructor(from: number, to: number) {
    this.sent = from;
    this.to = to;
  }

  get hasEnded(): boolean {
    return this.isAbandoned || this.sent >= this.to;
  }
  abandon(): void {
    this.isAbandoned = true;
  }
  forget(): void {}
}
