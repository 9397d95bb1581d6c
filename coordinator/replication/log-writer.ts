/**
 * Appends changes to the replication log, in the order of the calls. What is asked for during an append is part of
 * the next one (group commit). After another coordinator has begun to lead, all calls fail.
 */
import type { Fault } from '../../shared/base/faults.js';
import type { FileChange, ReplicationLog } from '../../shared/bus/replication-log.js';

/** An append has at most about this many octets. */
const OCTETS_AT_ONCE = 8 * 1024 * 1024;

interface Waiting {
  readonly changes: readonly FileChange[];
  readonly resolve: (last: number) => void;
  readonly reject: (error: unknown) => void;
}

export class LogWriter {
  readonly #replication: ReplicationLog;
  /** The number of the last change in the log. */
  #last: number;
  #waiting: Waiting[] = [];
  #isWriting = false;
  #deposed: Fault | undefined;

  constructor(replication: ReplicationLog, last: number) {
    this.#replication = replication;
    this.#last = last;
  }

  /**
   * Resolves once the changes, which follow each other, are in the log.
   * @returns the number of the last one
   * @throws Fault DEPOSED or UNWRITABLE
   */
  write(changes: readonly FileChange[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#next();
      try {
        if (this.#deposed !== undefined) throw this.#deposed;
        await this.#append(batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }

  async #append(batch: readonly Waiting[]): Promise<void> {
    const changes = batch.flatMap((each) => each.changes);
    let number = this.#last;
    const { last, fault } = await this.#replication.append(changes, this.#last);
    this.#last = last;
    if (fault?.code === 'DEPOSED') this.#deposed = fault;
    for (const { changes, resolve, reject } of batch) {
      number += changes.length;
      if (number <= last) resolve(number);
      else reject(fault);
    }
  }

  #next(): Waiting[] {
    let octets = 0;
    let count = 0;
    for (const { changes } of this.#waiting) {
      if (octets >= OCTETS_AT_ONCE) break;
      for (const { data } of changes) octets += data.length;
      count++;
    }
    return this.#waiting.splice(0, count);
  }
}
