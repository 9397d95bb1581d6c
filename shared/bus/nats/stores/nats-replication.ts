/**
 * The replication log on a stream, with as many copies as all other streams. Changes are sent without waiting for
 * each other. The first one is conditional on the stream's last sequence, and each other one also on the id of the
 * message before it: the sequence alone may have been taken by somebody else's.
 */
import { randomBytes } from 'node:crypto';
import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { describeError, Fault } from '../../../base/faults.js';
import { fileChangeCodec } from '../../messages.js';
import type {
  Appended,
  FileChange,
  NumberedChange,
  ReplicationLog,
} from '../../replication-log.js';
import type { StoreConnection } from '../connection.js';
import { API_ERROR, isApiError, isTransient, withRetry } from '../retry.js';
import { STREAM, SUBJECT } from '../subjects.js';
import { decodeOrSkip } from '../subscribe.js';

const RETRY_MILLIS = 200;
/** Changes that are read at once: at most half a MiB each. */
const READ_AT_ONCE = 32;
const NOTHING = new Uint8Array(0);
const ID_OCTETS = 12;

/**
 * Octets and messages that are sent and not acknowledged yet: little, because heartbeats and the renewal of the
 * leadership wait behind them.
 */
const IN_FLIGHT_OCTETS = 4 * 1024 * 1024;
const IN_FLIGHT = 256;

/** A cluster may answer a repeated message with the number 0 (nats-server #5827); what is stored is read then. */
class Misplaced extends Error {}

interface Message {
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly msgID: string;
}

export async function openReplication(broker: StoreConnection): Promise<ReplicationLog> {
  const stream = {
    name: STREAM.FILES,
    subjects: [SUBJECT.FILES_ALL],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: broker.replicas,
  };
  await broker.keep(() => broker.manager.streams.add(stream));
  return new NatsReplication(broker);
}

class NatsReplication implements ReplicationLog {
  readonly #broker: StoreConnection;

  constructor(broker: StoreConnection) {
    this.#broker = broker;
  }

  async state() {
    const { manager } = this.#broker;
    const { created, state } = await withRetry(this.#broker, () =>
      manager.streams.info(STREAM.FILES),
    );
    return { id: String(created), last: state.last_seq };
  }

  async append(changes: readonly FileChange[], after: number): Promise<Appended> {
    const id = randomBytes(ID_OCTETS).toString('base64url');
    const all = changes.map((change, i) => ({
      ...{ subject: SUBJECT.file(change.path), bytes: fileChangeCodec.encode(change) },
      msgID: `${id}.${i}`,
    }));
    let stored = 0;
    while (stored < all.length) {
      const sent = all.slice(stored, stored + countInFlight(all, stored));
      const error = await this.#send(sent, after + stored);
      if (error === undefined) {
        stored += sent.length;
        continue;
      }
      const { closing, connection, clock } = this.#broker;
      if (closing.aborted || connection.isClosed()) throw error;
      const before = stored;
      const found = await this.#storedOf(all, after, stored);
      stored = found.stored;
      const last = after + stored;
      if (found.isOthers)
        return { last, fault: new Fault('DEPOSED', 'another coordinator has taken over') };
      const isWaiting =
        isTransient(error) ||
        error instanceof Misplaced ||
        isApiError(error, API_ERROR.WRONG_LAST_SEQUENCE) ||
        stored > before;
      if (!isWaiting || isApiError(error, API_ERROR.STREAM_FULL)) {
        const reason = `the broker does not store copies: ${describeError(error)}`;
        return { last, fault: new Fault('UNWRITABLE', reason, {}, error) };
      }
      await clock.sleep(RETRY_MILLIS, closing);
    }
    return { last: after + stored, fault: undefined };
  }

  /**
   * Asks for each message by its number, many at once. A consumer would not do: servers before 2.9.15 move consumers
   * past messages of other subjects when one subject is purged (nats-server #3838).
   */
  async *read(after: number): AsyncGenerator<NumberedChange> {
    const { last } = await this.state();
    for (let next = after + 1; next <= last; ) {
      const count = Math.min(READ_AT_ONCE, last + 1 - next);
      const numbers = Array.from({ length: count }, (_, i) => next + i);
      const found = await Promise.all(numbers.map((seq) => this.#messageAt({ seq })));
      for (const message of found) {
        const change = message && decodeOrSkip(fileChangeCodec, message.data);
        if (change !== undefined && message?.subject === SUBJECT.file(change.path))
          yield { number: message.seq, change };
      }
      next += count;
      if (found.some((message) => message !== undefined)) continue;
      // A long run of forgotten changes.
      next =
        (await this.#messageAt({ seq: next, next_by_subj: SUBJECT.FILES_ALL }))?.seq ?? last + 1;
    }
  }

  async forget(path: string, before?: number): Promise<void> {
    if (before !== undefined && before <= 1) return; // the server would take this for no limit
    const which = { filter: SUBJECT.file(path), ...(before !== undefined && { seq: before }) };
    const { manager } = this.#broker;
    await withRetry(this.#broker, () => manager.streams.purge(STREAM.FILES, which));
  }

  /** @returns the first error, undefined if all are stored */
  async #send(messages: readonly Message[], after: number): Promise<unknown> {
    const sent = messages.map(async ({ subject, bytes, msgID }, i) => {
      const before = messages[i - 1];
      const lastSequence = after + i;
      const expect =
        before === undefined ? { lastSequence } : { lastSequence, lastMsgID: before.msgID };
      const { seq } = await this.#broker.jetstream.publish(subject, bytes, { msgID, expect });
      if (seq !== lastSequence + 1) throw new Misplaced(`change ${lastSequence + 1} is ${seq}`);
    });
    const failed = (await Promise.allSettled(sent)).find(({ status }) => status === 'rejected');
    return failed === undefined ? undefined : (failed as PromiseRejectedResult).reason;
  }

  /** How many of our messages the stream has after `after`, and whether somebody else's follow. */
  async #storedOf(
    messages: readonly Message[],
    after: number,
    known: number,
  ): Promise<{ readonly stored: number; readonly isOthers: boolean }> {
    let stored = known;
    const { last } = await this.state();
    for (; stored < messages.length && after + stored < last; stored++) {
      const found = await this.#messageAt({ seq: after + stored + 1 });
      const isOurs =
        found !== undefined && Buffer.compare(found.data, messages[stored]?.bytes ?? NOTHING) === 0;
      if (!isOurs) return { stored, isOthers: true };
    }
    return { stored, isOthers: last < after || last > after + messages.length };
  }

  /** Undefined if it was removed. */
  async #messageAt(which: { readonly seq: number; readonly next_by_subj?: string }) {
    const { manager } = this.#broker;
    // The client's type does not have `next_by_subj` here; servers know it since 2.9.0.
    const query = which as { seq: number };
    const get = () => manager.streams.getMessage(STREAM.FILES, query);
    return (await withRetry(this.#broker, get)) ?? undefined;
  }
}

/** The number of messages, from one on, that are sent without waiting: at least one. */
function countInFlight(messages: readonly Message[], from: number): number {
  let octets = 0;
  let count = 0;
  while (count < IN_FLIGHT && from + count < messages.length) {
    octets += messages[from + count]?.bytes.length ?? 0;
    if (count > 0 && octets > IN_FLIGHT_OCTETS) break;
    count++;
  }
  return count;
}
