/** Subscriptions and bucket watches, until a signal aborts; malformed messages are skipped. */
import type { KV, KvWatchEntry } from '@nats-io/kv';
import { Channel } from '../../base/channel.js';
import type { Codec } from '../codec.js';
import type { Versioned } from '../interfaces.js';
import type { BrokerConnection } from './connection.js';

/** The most messages that may wait in a queue. Further ones are dropped; core NATS may drop messages, too. */
const WAITING_MAX = 65_536;

export interface Listening<Value> {
  readonly subject: string;
  readonly codec: Codec<Value>;
  /**
   * The subject on which a message with this value must have arrived. Any other message is ignored, because
   * the broker grants permissions by subject.
   */
  readonly subjectOf: (value: Value) => string;
}

/** Subscribes to a subject of core NATS and decodes its messages. Listens from the call on. */
export function listen<Value>(
  broker: BrokerConnection,
  { subject, codec, subjectOf }: Listening<Value>,
  signal: AbortSignal,
): AsyncIterable<Value> {
  const channel = new Channel<Value>(signal, WAITING_MAX);
  const subscription = broker.connection.subscribe(subject, {
    callback(error, message) {
      const value = error === null ? decodeOrSkip(codec, message.data) : undefined;
      if (value !== undefined && subjectOf(value) === message.subject) channel.offer(value);
    },
  });
  signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
  return channel;
}

/** The values of a bucket's keys now, then each change. The watch survives a broker's restart. */
export async function* watchBucket<Value>(
  broker: BrokerConnection,
  bucket: KV,
  key: string,
  codec: Codec<Value>,
  signal: AbortSignal,
): AsyncGenerator<Versioned<Value>> {
  while (!signal.aborted && !broker.closing.aborted) {
    const watcher = await bucket.watch({ key }).catch(() => undefined);
    if (watcher === undefined) {
      await broker.clock.sleep(500, signal);
      continue;
    }
    const stop = () => watcher.stop();
    signal.addEventListener('abort', stop, { once: true });
    const unsubscribe = broker.onReconnect(stop); // the next watch starts with all keys
    if (signal.aborted) stop();
    try {
      for await (const entry of watcher as AsyncIterable<KvWatchEntry>) {
        if (signal.aborted) return;
        const value = entry.operation === 'PUT' ? decodeOrSkip(codec, entry.value) : undefined;
        if (value !== undefined) yield { value, revision: entry.revision };
      }
    } catch {
      await broker.clock.sleep(500, signal); // the watch broke: the next one starts with all keys
    } finally {
      signal.removeEventListener('abort', stop);
      unsubscribe();
      watcher.stop();
    }
  }
}

/** Decodes a message; undefined if it is malformed, because anyone may write to the broker. */
export function decodeOrSkip<Value>(codec: Codec<Value>, bytes: Uint8Array): Value | undefined {
  try {
    return codec.decode(bytes);
  } catch {
    return undefined;
  }
}
