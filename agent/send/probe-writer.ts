/**
 * Turns positions into frames: finds the target and the egress of each position, checks whether the target
 * may be probed, and, if it is on the link, looks up its MAC address. Targets on the link wait in the
 * resolution queue until they are resolved. Positions that cannot be sent are recorded with the reason.
 */
import type { TargetIndex } from '../../shared/base/brand.js';
import { Target, type Words } from '../../shared/net/endpoint.js';
import { RUN_MAX } from '../../shared/permutation/permutation.js';
import type { Plan } from '../../shared/survey/plan.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import type { Egress } from '../egress/egress.js';
import type { Router } from '../egress/router.js';
import {
  DEFERRED,
  type Found,
  type KnownClasses,
  type Neighbours,
  NOT_SENT,
  RESOLVING,
  UNREACHABLE,
} from '../interfaces.js';
import { JobKeys } from './jobs/job-keys.js';
import type { SendJob } from './jobs/send-job.js';
import type { Pacer } from './pacer.js';
import { NO_JOB, ResolutionQueue } from './resolution-queue.js';
import type { SendFilter } from './send-filter.js';
import type { SlowGate } from './slow-gate.js';
import { UnsentLog } from './unsent-log.js';

export interface ProbeWriterDeps {
  readonly plan: Plan;
  /** One per route and probe: those of a route follow each other in the order of the survey's probes. */
  readonly egresses: readonly Egress[];
  /** Probes of the survey. */
  readonly probeCount: number;
  /** Finds the route of a target. */
  readonly router: Router;
  /** True if every target has an egress. */
  readonly coversAll: boolean;
  /** Decides which probes to slowed networks are deferred. */
  readonly slowGate: SlowGate;
  /** Counts every packet that is written. */
  readonly pacer: Pacer;
  readonly isAbandoned: (slot: number) => boolean;
  /** Microseconds, of the clock that also stamps captured frames. */
  readonly wallMicros: () => number;
}

interface JobPosition {
  /** The slot of the job in `SenderControl`. */
  readonly slot: number;
  readonly position: number;
}

export class ProbeWriter {
  /** The current send filter. */
  sendFilter: SendFilter;
  readonly unsent = new UnsentLog();
  readonly #deps: ProbeWriterDeps;
  readonly #target = new Target();
  readonly #keys: JobKeys;
  /** True if a single egress serves all targets and resolves no neighbours, and the space is plain. */
  readonly #isPlain: boolean;
  readonly #queue: ResolutionQueue | undefined;
  /** The neighbour resolvers of all routes whose targets are on the link. */
  readonly #neighbours: ReadonlySet<Neighbours>;

  constructor(deps: ProbeWriterDeps, sendFilter: SendFilter) {
    this.#deps = deps;
    this.#keys = new JobKeys(deps.egresses);
    this.sendFilter = sendFilter;
    this.#neighbours = new Set(deps.egresses.flatMap(({ neighbours }) => neighbours ?? []));
    const hasNeighbours = this.#neighbours.size > 0;
    const isSingleEgress = deps.egresses.length === 1 && deps.coversAll && !hasNeighbours;
    this.#isPlain = isSingleEgress && deps.plan.space.plainFamily !== undefined;
    this.#queue = hasNeighbours ? new ResolutionQueue() : undefined;
  }

  /** Number of frames that are free in every egress: all probes of a batch may use the same egress. */
  get room(): number {
    let room = Number.POSITIVE_INFINITY;
    for (const { frameSender } of this.#deps.egresses) room = Math.min(room, frameSender.room());
    return room;
  }

  /** True if targets may wait to be resolved on the link. */
  get hasQueue(): boolean {
    return this.#queue !== undefined;
  }

  /** True if a whole run may be written, because the queue could hold all of its targets. */
  get hasQueueRoom(): boolean {
    return this.#queue === undefined || this.#queue.room >= RUN_MAX;
  }

  /** Opens a job: until the next call, only its positions are written. */
  open(job: SendJob): void {
    this.#keys.add(job);
    this.#queue?.open(job.slot);
  }

  /** The first queued position of a job; undefined if there is none. */
  firstQueued(slot: number): number | undefined {
    return this.#queue?.firstOf(slot);
  }

  /** Reads neighbour answers, and repeats the requests that are due. @returns packets sent */
  pollNeighbours(now: number, most: number): number {
    let sent = 0;
    for (const neighbours of this.#neighbours) sent += neighbours.poll(now, most - sent);
    this.#deps.pacer.spend(sent);
    return sent;
  }

  /** Writes the probes of resolved targets at the head of the queue. @returns whether any left the queue */
  writeResolved(most: number, now: number): boolean {
    const queue = this.#queue;
    if (queue === undefined) return false;
    const { egresses, isAbandoned } = this.#deps;
    let taken = 0;
    for (let written = 0; written < most && queue.length > 0; taken++) {
      const { slot, position } = queue;
      const egress = egresses[queue.egress] as Egress;
      if (slot !== NO_JOB && !isAbandoned(slot)) {
        if (written > 0 && !this.#keys.isCurrent(slot)) break; // of another shard: the next batch
        this.#keys.use(slot);
        const { target } = queue;
        const found = egress.neighbours?.lookup(target, now) ?? UNREACHABLE;
        if (found === RESOLVING) break;
        if (this.#add(egress, slot, position, target, found)) written++;
      }
      queue.take();
    }
    this.#writeAll(-1);
    return taken > 0;
  }

  /** Adds a neighbour to its egress, unless it may not be probed or is unreachable. */
  #add(egress: Egress, slot: number, position: number, target: Target, mac: Found) {
    const { batch } = egress;
    batch.add(target, position);
    const code = this.sendFilter.codeFor(batch, batch.count - 1, egress.family);
    if (code === 0 && typeof mac !== 'string') {
      egress.addressTo(mac, slot);
      return true;
    }
    batch.count--;
    this.unsent.note(
      slot,
      position,
      code || (mac === NOT_SENT ? UNSENT.SEND_FAILED : UNSENT.NO_NEIGHBOUR),
    );
    return false;
  }

  /** Writes the probes of a job's positions [position, position + count) into frames. */
  write(job: SendJob, position: number, count: number, now: number): void {
    const { plan, egresses } = this.#deps;
    const { slot, known } = job;
    this.#keys.use(slot);
    const indices = plan.permutation.run(position, count);
    const [first] = egresses;
    if (this.#isPlain && first !== undefined) {
      const { batch } = first;
      plan.space.fill(indices, count, batch, batch.port);
      for (let i = 0; i < count; i++) batch.position[i] = position + i;
      batch.count = count;
      if (known !== undefined) batch.keep((row) => !isKnown(known, batch.position[row] as number));
      if (this.#mayDefer(job)) this.#deferRows(first, slot, now);
    } else this.#route(job, position, indices, count, now);
    this.#writeAll(slot);
  }

  /** @param slot of the job; −1 if the send filter was applied already */
  #writeAll(slot: number): void {
    const { egresses, wallMicros } = this.#deps;
    const stamp = wallMicros() >>> 0;
    let written = 0;
    for (const egress of egresses) {
      const { batch, family } = egress;
      if (batch.count === 0) continue;
      if (slot >= 0 && egress.neighbours === undefined) {
        this.sendFilter.filter(batch, family, (row, code) =>
          this.unsent.note(slot, batch.position[row] as number, code),
        );
      }
      egress.write(stamp);
      written += egress.pending;
    }
    this.#deps.pacer.spend(written);
  }

  /** True if targets of a job may be in slowed networks, and were not deferred before. */
  #mayDefer({ isDeferred }: SendJob): boolean {
    return !this.#deps.slowGate.isOpen && isDeferred !== true;
  }

  /** Removes the targets of a batch that are to be sent later. */
  #deferRows({ batch, family }: Egress, slot: number, now: number): void {
    const { slowGate } = this.#deps;
    const { w0, w1, w2, w3 } = batch;
    const target = this.#target;
    batch.keep((row) => {
      if (family === 4) target.setIpv4(w3[row] as number);
      else target.setWords([w0[row], w1[row], w2[row], w3[row]] as unknown as Words);
      if (slowGate.passes(target, now)) return true;
      this.#defer(slot, batch.position[row] as number);
      return false;
    });
  }

  /** A deferred probe counts as one sent for the pacer, so that positions come due at the survey's rate. */
  #defer(slot: number, position: number): void {
    this.unsent.note(slot, position, DEFERRED);
    this.#deps.pacer.spend(1);
  }

  /** Distributes the targets at the indices to their egresses. */
  #route(job: SendJob, first: number, indices: Float64Array, count: number, now: number): void {
    const { plan, router, egresses, probeCount, slowGate } = this.#deps;
    const target = this.#target;
    const { slot, known } = job;
    const mayDefer = this.#mayDefer(job);
    for (let i = 0; i < count; i++) {
      const position = first + i;
      if (known !== undefined && isKnown(known, position)) continue;
      plan.space.at(indices[i] as TargetIndex, target);
      if (mayDefer && !slowGate.passes(target, now)) {
        this.#defer(slot, position);
        continue;
      }
      const route = router.routeFor(target);
      const number = route * probeCount + target.probe;
      const egress = route < 0 ? undefined : egresses[number];
      if (egress === undefined) this.unsent.note(slot, position, UNSENT.UNROUTABLE);
      else if (egress.neighbours === undefined) egress.batch.add(target, position);
      else this.#wait(egress, number, { slot, position }, now);
    }
  }

  /** Queues a neighbour and requests its MAC address if necessary; records it as unsent if it is blocked. */
  #wait(egress: Egress, number: number, at: JobPosition, now: number): void {
    const { batch, neighbours, family } = egress;
    const target = this.#target;
    batch.add(target);
    const code = this.sendFilter.codeFor(batch, --batch.count, family);
    if (code !== 0) this.unsent.note(at.slot, at.position, code);
    else {
      if (neighbours?.request(target, now)) this.#deps.pacer.spend(1);
      this.#queue?.add(at.slot, number, at.position, target);
    }
  }

  /** Commits the changes of the queue; called once all written probes have been sent. */
  commit(): void {
    this.#queue?.commit();
  }

  /**
   * Withdraws written probes that were not sent, so that they are written again.
   * @param job the current job (slot `NO_JOB` if there is none), and its next position
   * @returns its new position
   */
  withdraw(job: { readonly slot: number; readonly position: number }): number {
    const left = this.#deps.egresses.filter(({ pending }) => pending > 0);
    const isFirst = (slot: number, position: number) =>
      left.some((egress) => egress.firstSlot === slot && egress.firstPosition === position);
    const back = this.#queue?.rollBack(isFirst) ?? [];
    this.unsent.drop((slot, position) =>
      back.some((jobPosition) => jobPosition.slot === slot && jobPosition.position === position),
    );
    const ofJob = left.filter(({ firstSlot }) => firstSlot === undefined);
    const reached = Math.min(...ofJob.map(({ firstPosition }) => firstPosition));
    for (const egress of left) {
      egress.frameSender.discard();
      egress.pending = 0;
    }
    const { slot, position } = job;
    if (!Number.isFinite(reached)) return position;
    this.#queue?.keepBefore(slot, reached);
    this.unsent.drop((of, at) => of === slot && at >= reached);
    return reached;
  }

  /** Drops the remaining targets of an abandoned job, so that they are not probed. */
  drop(slot: number): void {
    this.#queue?.drop(slot);
  }
}

function isKnown({ classes, classesFrom }: KnownClasses, position: number): boolean {
  return classes[position - classesFrom] !== 0;
}
