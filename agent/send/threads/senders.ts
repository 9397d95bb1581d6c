/**
 * The senders of a survey, presented as one: each job goes to all of them, each grant is divided evenly, and
 * a position counts as sent once every sender is past it.
 */
import { assert } from '../../../shared/base/assert.js';
import type { Endpoint } from '../../../shared/net/endpoint.js';
import type { AddressLists } from '../../../shared/survey/policy/address-lists.js';
import type { SendErrors, Sender, Sending, SendMode } from '../../interfaces.js';
import { SEND_ERRORS } from '../send-errors.js';
import type { SendFilterLists } from '../send-filter.js';
import { type SenderControl, SLOTS } from '../sender-control.js';
import { SlowedNetworks } from '../slowed-networks.js';
import { SenderThread } from './sender-thread.js';
import { SharedSending } from './shared-sending.js';
import type { ThreadPool } from './thread-pool.js';

/** @throws the faults of `SenderThread.start`; if it throws, no thread stays assigned */
export async function startSenders(
  pool: ThreadPool,
  setup: { readonly blocked: SendFilterLists },
  count: number,
  onDeath: (reason: Error) => void,
): Promise<Sender> {
  const slowed = new SlowedNetworks();
  const complete = { ...setup, slowed: slowed.memory };
  const starts = Array.from({ length: count }, (_, index) =>
    SenderThread.start(complete, { pool, senderIndex: { index, count }, onDeath }),
  );
  const outcomes = await Promise.allSettled(starts);
  const threads = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = outcomes.find((each) => each.status === 'rejected');
  if (failed === undefined) return new Senders(threads, setup.blocked.own, slowed);
  await Promise.all(threads.map((thread) => thread.close()));
  throw failed.reason;
}

class Senders implements Sender {
  readonly transmit: string;
  readonly #threads: readonly SenderThread[];
  /** Blocked by the agent itself, whatever the exclusions. */
  readonly #own: AddressLists;
  readonly #slowed: SlowedNetworks;
  readonly #sendings = new Map<number, SharedSending>();
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);

  constructor(threads: readonly SenderThread[], own: AddressLists, slowed: SlowedNetworks) {
    this.#threads = threads;
    this.#own = own;
    this.#slowed = slowed;
    this.transmit = [...new Set(threads.map(({ transmit }) => transmit))].join(', ');
  }

  get freeSlots(): number {
    return this.#free.length;
  }

  slowDown(address: Endpoint): void {
    this.#slowed.add(address);
  }

  send(from: number, to: number, mode: SendMode): Sending {
    const slot = this.#free.pop();
    assert(slot !== undefined, 'more send jobs than slots');
    const controls = this.#threads.map(({ control }) => control);
    const free = () => {
      this.#sendings.delete(slot);
      this.#free.push(slot);
    };
    const sending = new SharedSending({
      controls,
      slot,
      drainUnsent: () => this.#drainUnsent(),
      free,
    });
    this.#sendings.set(slot, sending);
    for (const thread of this.#threads) thread.job({ slot, from, to, ...mode });
    return sending;
  }

  /** Gives the unsent positions of the threads to their jobs. */
  #drainUnsent(): void {
    for (const thread of this.#threads) {
      for (const { slot, positions, codes } of thread.takeUnsent()) {
        const sending = this.#sendings.get(slot);
        for (const [i, code] of codes.entries())
          sending?.addUnsent({ position: positions[i] as number, code });
      }
    }
  }

  grant(rate: number, until: number, exclusions: number): void {
    const share = rate / this.#threads.length;
    for (const { control } of this.#threads) control.grant(share, until, exclusions);
  }

  setExclusions(excluded: AddressLists, version: number): void {
    for (const thread of this.#threads) thread.sendFilter({ version, excluded, own: this.#own });
  }

  get exclusionsVersion(): number {
    return Math.min(...this.#threads.map(({ control }) => control.enforcedVersion));
  }

  get totals(): { probesSent: number; sendErrors: SendErrors } {
    const sum = (read: (control: SenderControl) => number) =>
      this.#threads.reduce((total, { control }) => total + read(control), 0);
    const counts = SEND_ERRORS.map(
      ({ name }, i) => [name, sum((control) => control.sendErrorCount(i))] as const,
    );
    return {
      probesSent: sum((control) => control.probesSent),
      sendErrors: Object.fromEntries(counts.filter(([, count]) => count > 0)),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}
