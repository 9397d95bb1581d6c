/** Loops over what NATS delivers, until a signal aborts; malformed messages are passed over. */
import type { KV, KvWatchEntry } from '@nats-io/kv';
import { Channel } from '../../base/channel.js';
import type { Codec } from '../codec.js';
import type { Versioned } from '../ports.js';
import type { Link } from './link.js';

/** A core subscription as decoded values. Listens from the call on. */
export function listen<Value>(
  link: Link,
  subject: string,
  codec: Codec<Value>,
  signal: AbortSignal,
): AsyncIterable<Value> {
  const channel = new Channel<Value>(signal);
  const subscription = link.connection.subscribe(subject, {
    callback(error, message) {
      const value = error === null ? decodeOrSkip(codec, message.data) : undefined;
      if (value !== undefined) channel.push(value);
    },
  });
  signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
  return channel;
}

/** The values of a bucket's keys now, then each change. The watch survives a broker's restart. */
export async function* watchBucket<Value>(
  link: Link,
  bucket: KV,
  key: string,
  codec: Codec<Value>,
  signal: AbortSignal,
): AsyncGenerator<Versioned<Value>> {
  while (!signal.aborted && !link.closing.aborted) {
    const watcher = await bucket.watch({ key }).catch(() => undefined);
    if (watcher === undefined) {
      await link.clock.sleep(500, signal);
      continue;
    }
    const stop = () => watcher.stop();
    signal.addEventListener('abort', stop, { once: true });
    const forget = link.onReconnect(stop); // the next watch starts with all keys
    if (signal.aborted) stop();
    try {
      for await (const entry of watcher as AsyncIterable<KvWatchEntry>) {
        if (signal.aborted) return;
        const value = entry.operation === 'PUT' ? decodeOrSkip(codec, entry.value) : undefined;
        if (value !== undefined) yield { value, revision: entry.revision };
      }
    } catch {
      await link.clock.sleep(500, signal); // the watch broke: the next one starts with all keys
    } finally {
      signal.removeEventListener('abort', stop);
      forget();
      watcher.stop();
    }
  }
}

/** Anyone may write to the broker: what is no such message is not for us. */
export function decodeOrSkip<Value>(codec: Codec<Value>, bytes: Uint8Array): Value | undefined {
  try {
    return codec.decode(bytes);
  } catch {
    return undefined;
  }
}
