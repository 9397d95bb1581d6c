/** A replication log in memory. */
import { Fault } from '../../base/faults.js';
import { fileChangeCodec } from '../messages.js';
import type { Appended, FileChange, NumberedChange, ReplicationLog } from '../replication-log.js';

export class MemoryReplication implements ReplicationLog {
  readonly #changes = new Map<number, { readonly path: string; readonly bytes: Uint8Array }>();
  #last = 0;

  async state() {
    return { id: 'memory', last: this.#last };
  }

  async append(changes: readonly FileChange[], after: number): Promise<Appended> {
    let last = after;
    for (const change of changes) {
      const bytes = fileChangeCodec.encode(change);
      const stored = this.#changes.get(last + 1)?.bytes;
      const isStored = stored !== undefined && Buffer.compare(stored, bytes) === 0;
      if (!isStored && last !== this.#last) {
        const fault = new Fault('DEPOSED', 'another coordinator has taken over');
        return { last, fault };
      }
      if (!isStored) this.#changes.set(++this.#last, { path: change.path, bytes });
      last++;
    }
    return { last, fault: undefined };
  }

  async *read(after: number): AsyncGenerator<NumberedChange> {
    for (const [number, { bytes }] of [...this.#changes]) {
      if (number > after) yield { number, change: fileChangeCodec.decode(bytes) };
    }
  }

  async forget(path: string, before = Number.POSITIVE_INFINITY): Promise<void> {
    for (const [number, change] of this.#changes) {
      if (change.path === path && number < before) this.#changes.delete(number);
    }
  }
}
