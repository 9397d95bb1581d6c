/**
 * The replication log: the changes of a coordinator's data folder, in order, on the broker. A coordinator that
 * replicates appends each change before it makes it on its own disk; others make the same changes on theirs.
 * The log has one writer: an append is refused if somebody else has appended meanwhile (compare-and-set on the
 * number of the last change), so a coordinator that was thought dead and wakes up changes nothing.
 */
import type { Fault } from '../base/faults.js';

export const CHANGE_KINDS = ['write', 'append', 'begin', 'copied'] as const;

/** A change of one file. */
export interface FileChange {
  /**
   * `write`: `data` is the part of the new content that starts at `offset`; the parts of a file follow each
   * other. `append`: `data` are whole lines at the end. `begin`: a coordinator begins to lead. `copied`: the files that
   * the first coordinator had before are all in the log.
   */
  readonly kind: (typeof CHANGE_KINDS)[number];
  /** Within the data folder; empty for `begin` and `copied`. */
  readonly path: string;
  readonly offset: number;
  /** Octets of the file once all parts are written. */
  readonly size: number;
  /** At most `LIMITS.chunkOctets`, unless it is a line; of `begin`: the fingerprint of the data folder's secret. */
  readonly data: Uint8Array;
  /** The term of the coordinator that made the change. */
  readonly term: number;
}

export interface NumberedChange {
  /** Ascending; there are gaps where changes were forgotten. */
  readonly number: number;
  readonly change: FileChange;
}

/** The result of an attempt to append. */
export interface Appended {
  /** The number of our last change that is stored; the one given, if none is. */
  readonly last: number;
  /** DEPOSED or UNWRITABLE, if not all are stored. */
  readonly fault: Fault | undefined;
}

export interface ReplicationLog {
  /** Its name, which is another one after the broker lost it, and the number of the last change (0: none). */
  state(): Promise<{ readonly id: string; readonly last: number }>;
  /** Changes that are stored already, because the answer to an attempt was lost, are not stored again. */
  append(changes: readonly FileChange[], after: number): Promise<Appended>;
  /** The changes after a number that are there now. */
  read(after: number): AsyncIterable<NumberedChange>;
  /** Removes the changes of a file, or those with a number below `before`. */
  forget(path: string, before?: number): Promise<void>;
}
