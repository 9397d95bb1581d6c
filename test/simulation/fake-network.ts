/**
 * The network of the simulation: its replies follow from a seed, so that the truth about every target can be
 * computed. They are real frames, delayed, repeated, and sometimes preceded by a firewall's reset.
 */

import {
  type Capture,
  DEFERRED,
  type FrameReceiver,
  type NetworkIo,
  type OpenNetworkIo,
  type Sending,
  type SendMode,
  type Unsent,
} from '../../agent/interfaces.js';
import { Pacer } from '../../agent/send/pacer.js';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Dissection, REJECT } from '../../shared/packet/dissect.js';
import type { Plan } from '../../shared/survey/plan.js';
import { addressLists } from '../../shared/survey/policy/address-lists.js';
import type { VersionSpan } from '../../shared/survey/policy/exclusions.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { errorTo, probeOf, resetTo, synAckTo } from '../support/replies.js';
import { CODE } from '../support/tcp-syn-set.js';
import type { Host } from './host.js';

const SOURCE = mappedWords(0x64400001);
const SOURCE_PORT = 61007;
const STEP_MILLIS = 20;
const FRAME_OCTETS = 192;

/** An agent's link to the network. */
export interface Link {
  isDown: boolean;
  /** Number of outages so far, which reveals an outage that began and ended between two checks. */
  downs: number;
  /** True while replies are lost without any error: probes are still sent. */
  hasLostNetwork: boolean;
}

export interface Shot {
  readonly at: number;
  readonly position: number;
  readonly address: number;
  readonly agent: string;
}

/** A sending agent, with its host and its link. */
interface Standing {
  readonly host: Host;
  readonly link: Link;
  readonly agent: string;
}

interface Aim {
  readonly key: Uint8Array;
  readonly plan: Plan;
  readonly position: number;
  readonly agent: string;
}

export class FakeNetwork {
  /** Every probe sent, by any agent. */
  readonly shots: Shot[] = [];
  readonly #clock: Clock;
  readonly #seed: number;
  /** The share of probes and of replies that are lost. */
  loss = 0;
  /**
   * /24s with a firewall: half of the targets that lead to ICMP errors are reported as administratively
   * prohibited.
   */
  readonly prohibiting = new Set<number>();
  /** By agent: the class of reply that it pretends to get, by the true one and a number drawn per target. */
  readonly lies = new Map<string, (code: number, drawn: number) => number>();
  /** By agent: the share of its grant that it uses; 1 if it is missing. */
  readonly diligence = new Map<string, number>();
  readonly #attempts = new Map<number, number>();

  constructor(clock: Clock, seed: number) {
    this.#clock = clock;
    this.#seed = seed;
  }

  /** The truth about a target: a `CLASSIFICATION`, or `NONE` for silence. */
  truth(address: number, port: number): number {
    const prng = this.#roll(address, port, 1) % 8;
    if (prng < 2) return CODE.SYNACK;
    if (prng < 4) return CODE.RST;
    return prng === 4 ? CODE.ICMP : CODE.SILENT;
  }

  /**
   * Network I/O with a simulated sender and capture. It stops when its host dies or is frozen; while its link
   * is down it receives nothing, although probes are sent.
   */
  networkIo(host: Host, link: Link, agent: string): OpenNetworkIo {
    return async (_survey, plan) => {
      if (link.isDown) throw new Fault('NO_ROUTE', 'the link is down');
      return this.#open(plan, { host, link, agent });
    };
  }

  #open(plan: Plan, { host, link, agent }: Standing): NetworkIo {
    const { clock, dead } = host;
    const { downs } = link;
    const view = new DataView(new ArrayBuffer(FRAME_OCTETS));
    const dissection = new Dissection(view);
    let receiver: FrameReceiver | undefined;
    const deliver = (frame: Uint8Array) => {
      if (dead.aborted || link.isDown || link.hasLostNetwork) return;
      new Uint8Array(view.buffer).set(frame);
      if (dissection.dissect('ip', 0, frame.length) === REJECT.OK)
        receiver?.receive(clock.wall() * 1000);
    };
    const capture: Capture = {
      dissection,
      isAlive: true,
      get readUntil() {
        return clock.monotonic();
      },
      totals: { framesReceived: 0, framesDropped: 0, interfaceDropped: 0 },
      rejects: {},
      start(handler) {
        receiver = handler;
      },
      close() {},
    };
    const totals = { probesSent: 0, sendErrors: {} };
    const grant = { rate: 0, until: 0, exclusionsVersion: 0 };
    const sendFilter = { list: addressLists(Ranges.none, []), version: 0 };
    const pacer = new Pacer(clock.monotonic());
    const queue: Job[] = [];
    const slowed = new Set<number>();
    const step = async () => {
      while (!dead.aborted) {
        const now = clock.monotonic();
        const isFilterCurrent = sendFilter.version >= grant.exclusionsVersion;
        const rate = now < grant.until && isFilterCurrent ? grant.rate : 0;
        let allowance = pacer.allowance(now, rate * (this.diligence.get(agent) ?? 1));
        for (let job = queue[0]; job !== undefined && allowance > 0; job = queue[0]) {
          while (!job.isAbandoned && job.sentUpTo < job.to && allowance > 0) {
            if (job.isKnown) {
              job.sentUpTo++;
              continue;
            }
            const target = plan.targetAt(job.sentUpTo);
            if (slowed.has(target.w3 >>> 8) && job.mode.isDeferred !== true) {
              job.addUnsent(DEFERRED);
              job.sentUpTo++;
              allowance--;
              pacer.spend(1);
              continue;
            }
            job.addVersionSpan(sendFilter.version);
            const { from, to } = sendFilter.list.ipv4;
            if (Ranges.fromSorted(from, to).contains(target.w3)) {
              job.addUnsent(UNSENT.EXCLUDED);
              job.sentUpTo++;
              continue;
            }
            this.#probe({ plan, position: job.sentUpTo, agent, key: job.mode.key }, deliver);
            job.sentUpTo++;
            job.probesSent++;
            totals.probesSent++;
            allowance--;
            pacer.spend(1);
          }
          if (job.sentUpTo < job.to && !job.isAbandoned) break;
          queue.shift();
        }
        await clock.sleep(rate === 0 ? STEP_MILLIS : Math.min(STEP_MILLIS, pacer.pause(rate)));
      }
    };
    void step();
    return {
      captures: [capture],
      notes: [],
      rules: undefined,
      ports: { from: SOURCE_PORT, to: SOURCE_PORT + 1 },
      rulesHash: '',
      isUp: () => !link.isDown && link.downs === downs,
      sender: {
        transmit: 'fake',
        totals,
        grant: (rate, until, exclusionsVersion) =>
          Object.assign(grant, { rate, until, exclusionsVersion }),
        setExclusions: (list, version) => Object.assign(sendFilter, { list, version }),
        get exclusionsVersion() {
          return sendFilter.version;
        },
        close: async () => {},
        freeSlots: Number.POSITIVE_INFINITY,
        slowDown({ w3 }) {
          slowed.add(w3 >>> 8);
        },
        send(from, to, mode) {
          const job = new Job(from, to, mode);
          const firstRounds = queue.findIndex(({ isFirstRound }) => isFirstRound);
          if (job.isFirstRound || firstRounds < 0) queue.push(job);
          else queue.splice(firstRounds, 0, job);
          return job;
        },
      },
    };
  }

  #probe({ plan, position, agent, key }: Aim, deliver: (frame: Uint8Array) => void): void {
    const { w3: address, port, words } = plan.targetAt(position);
    this.shots.push({ at: this.#clock.monotonic(), position, address, agent });
    const flow = { source: SOURCE, sourcePort: SOURCE_PORT, address: words, port };
    const probe = probeOf(flow, key);
    const truth = this.#isLost(position) ? CODE.SILENT : this.truth(address, port);
    const code = this.lies.get(agent)?.(truth, this.#roll(address, port, 5)) ?? truth;
    const prng = this.#roll(address, port, 2);
    const after = (millis: number, frame: Uint8Array) =>
      void this.#clock.sleep(millis).then(() => deliver(frame));
    if (code === CODE.SYNACK) {
      if (prng % 5 === 0) after(5, resetTo(probe));
      after(10 + (prng % 700), synAckTo(probe));
      if (prng % 3 === 0) after(300 + (prng % 900), synAckTo(probe));
    } else if (code === CODE.RST) after(1 + (prng % 500), resetTo(probe));
    else if (code === CODE.ICMP) {
      const isProhibited = this.prohibiting.has(address >>> 8) && prng % 2 === 0;
      after(20 + (prng % 600), errorTo(probe, { code: isProhibited ? 13 : 1 }));
    }
  }

  /** True if a probe or its reply is lost, which is drawn separately for each attempt. */
  #isLost(position: number): boolean {
    if (this.loss === 0) return false;
    const attempt = (this.#attempts.get(position) ?? 0) + 1;
    this.#attempts.set(position, attempt);
    return [3, 4].some((salt) => {
      return this.#roll(position, 1000 * attempt, salt) / 2 ** 32 < this.loss;
    });
  }

  #roll(address: number, port: number, salt: number): number {
    let mixed = Math.imul(address ^ this.#seed, 0x7feb352d) ^ Math.imul(port + salt, 0x846ca68b);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x7feb352d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }
}

class Job implements Sending {
  sentUpTo: number;
  readonly to: number;
  #unsent: Unsent[] = [];
  readonly versionSpans: VersionSpan[] = [];
  isAbandoned = false;
  probesSent = 0;
  readonly mode: SendMode;

  constructor(from: number, to: number, mode: SendMode) {
    this.sentUpTo = from;
    this.to = to;
    this.mode = mode;
  }

  get isFirstRound(): boolean {
    return this.mode.known === undefined && this.mode.isDeferred !== true;
  }

  /** True if the next position is not to be repeated. */
  get isKnown(): boolean {
    const { classes, classesFrom } = this.mode.known ?? {
      classes: new Uint8Array(0),
      classesFrom: 0,
    };
    return (classes[this.sentUpTo - classesFrom] ?? 0) !== 0;
  }

  /** Records the version of the exclusions against which positions from here on are checked. */
  addVersionSpan(version: number): void {
    if (version > (this.versionSpans.at(-1)?.version ?? 0))
      this.versionSpans.push({ version, from: this.sentUpTo });
  }
  addUnsent(code: number): void {
    this.#unsent.push({ position: this.sentUpTo, code });
  }
  takeUnsent(): readonly Unsent[] {
    return this.#unsent.splice(0);
  }
  get hasEnded(): boolean {
    return this.isAbandoned || this.sentUpTo >= this.to;
  }
  abandon(): void {
    this.isAbandoned = true;
  }
  releaseSlot(): void {}
}
