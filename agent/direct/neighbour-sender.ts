/**
 * Sends probes as requests to neighbours on the link: ARP (RFC 826) and neighbour solicitations (RFC 4861
 * §7.2). An answer contains the address that was requested, which identifies the target, so no record of sent
 * requests is kept.
 */
import { Target, type Words } from '../../shared/net/endpoint.js';
import type { Family } from '../../shared/probe/probe.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import type { NeighbourAnswer } from '../egress/neighbour-requests.js';
import type { Router } from '../egress/router.js';
import type { DirectJob } from './direct-job.js';
import { DirectSender, type DirectSenderDeps } from './direct-sender.js';

/** Index of the only class in the lists of `arp` and `nd`. */
const ANSWERED = 0;
/** Maximum number of answers read from one link before other work. */
const ANSWERS_MAX = 4096;

/** Requests and answers of one family on one link. */
export interface NeighbourLink {
  readonly family: Family;
  /** Our address there. */
  readonly source: Words;
  /** Sends a request. @returns false if the kernel refuses it */
  request(target: Words): boolean;
  /** The next answer that has arrived; undefined if there is none. */
  read(): NeighbourAnswer | undefined;
  close(): void;
}

export interface NeighbourSenderDeps extends DirectSenderDeps {
  /** Finds the link of a target. */
  readonly router: Router;
  /** By route. */
  readonly links: readonly NeighbourLink[];
  /** Indices of the survey's probes, by family. */
  readonly probes: Readonly<Partial<Record<Family, number>>>;
}

export class NeighbourSender extends DirectSender {
  readonly transmit = 'neighbour requests';
  readonly #deps: NeighbourSenderDeps;

  constructor(deps: NeighbourSenderDeps) {
    super(deps);
    this.#deps = deps;
  }

  override async close(): Promise<void> {
    await super.close();
    for (const link of this.#deps.links) link.close();
  }

  protected try(job: DirectJob, position: number, target: Target): void {
    const link = this.#deps.links[this.#deps.router.routeFor(target)];
    if (link === undefined) {
      job.onUnsent(position, UNSENT.UNROUTABLE);
      return;
    }
    job.onTry(position);
    if (link.request(target.words)) {
      this.totals.probesSent++;
      job.onSent(position);
      return;
    }
    const { sendErrors } = this.totals;
    sendErrors['REFUSED'] = (sendErrors['REFUSED'] ?? 0) + 1;
    job.onLocalFault(position, this.clock.monotonic());
  }

  protected beforeSending(): void {
    for (const link of this.#deps.links) {
      for (let n = 0; n < ANSWERS_MAX; n++) {
        const answer = link.read();
        if (answer === undefined) break;
        this.#report(link, answer);
      }
    }
  }

  #report(link: NeighbourLink, { words, mac }: NeighbourAnswer): void {
    const { probes, links, router } = this.#deps;
    const probe = probes[link.family];
    if (probe === undefined) return;
    const target = new Target();
    target.setWords(words);
    target.probe = probe;
    // Links of one device all receive each answer; it is reported once, by the link that sent the request.
    if (links[router.routeFor(target)] !== link) return;
    const position = this.plan.positionOf(target);
    if (position < 0) return; // not a target
    const source = new Target();
    source.setWords(link.source);
    this.onOutcome(position, ANSWERED, { source, target, data: mac }, -1);
  }
}
