/**
 * The senders of a survey as one: each order goes to all of them, each grant is shared out evenly, and
 * what has been sent is what all of them have got past.
 */
import { assert } from '../../shared/base/assert.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import type { Blocklist } from '../../shared/survey/space/blocklist.js';
import type { Refusals, Sender, Sending } from '../ports.js';
import { type Desk, SLOTS } from './desk.js';
import type { Blocked } from './guard.js';
import { REFUSALS } from './refusal.js';
import { SenderThread } from './sender-thread.js';
import { SharedSending } from './shared-sending.js';
import type { ThreadPool } from './thread-pool.js';

/** @throws as `SenderThread.start` does; then none is left running */
export async function startSenders(
  pool: ThreadPool,
  setup: { readonly blocked: Blocked },
  count: number,
  onDeath: (reason: Error) => void,
): Promise<Sender> {
  const starts = Array.from({ length: count }, (_, index) =>
    SenderThread.start(setup, { pool, turn: { index, count }, onDeath }),
  );
  const outcomes = await Promise.allSettled(starts);
  const threads = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = outcomes.find((each) => each.status === 'rejected');
  if (failed === undefined) return new Senders(threads, setup.blocked);
  await Promise.all(threads.map((thread) => thread.close()));
  throw failed.reason;
}

class Senders implements Sender {
  readonly wire: string;
  readonly #threads: readonly SenderThread[];
  /** What is held back whatever the exclusions. */
  readonly #always: Blocked;
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);

  constructor(threads: readonly SenderThread[], always: Blocked) {
    this.#threads = threads;
    this.#always = always;
    this.wire = [...new Set(threads.map(({ wire }) => wire))].join(', ');
  }

  send(from: number, to: number): Sending {
    const slot = this.#free.pop();
    assert(slot !== undefined, 'fewer orders than slots');
    for (const thread of this.#threads) thread.order({ slot, from, to });
    const desks = this.#threads.map(({ desk }) => desk);
    return new SharedSending(desks, { slot, from }, () => this.#free.push(slot));
  }

  grant(rate: number, until: number, exclusions: number): void {
    const share = rate / this.#threads.length;
    for (const { desk } of this.#threads) desk.grant(share, until, exclusions);
  }

  exclude(list: Blocklist, version: number): void {
    const { ipv4, ipv6 } = this.#always;
    const { from, to } = Ranges.of([...Ranges.fromSorted(ipv4.from, ipv4.to), ...list.ipv4]);
    const { words } = Ranges6.fromWords(ipv6).union(Ranges6.of(list.ipv6));
    for (const thread of this.#threads) thread.guard({ version, ipv4: { from, to }, ipv6: words });
  }

  get exclusions(): number {
    return Math.min(...this.#threads.map(({ desk }) => desk.guarded));
  }

  get totals(): { sent: number; refusals: Refusals } {
    const sum = (read: (desk: Desk) => number) =>
      this.#threads.reduce((total, { desk }) => total + read(desk), 0);
    const counts = REFUSALS.map(({ name }, i) => [name, sum((desk) => desk.refused(i))] as const);
    return {
      sent: sum((desk) => desk.sentTotal),
      refusals: Object.fromEntries(counts.filter(([, count]) => count > 0)),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}
