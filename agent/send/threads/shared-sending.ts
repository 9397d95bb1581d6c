/**
 * A send job that is divided among several senders, presented as a single `Sending`. After its slot is
 * released, this object keeps its last values, whichever job uses the slot afterwards.
 */
import { assert } from '../../../shared/base/assert.js';
import type { VersionSpan } from '../../../shared/survey/policy/exclusions.js';
import type { Sending, Unsent } from '../../interfaces.js';
import type { SenderControl } from '../sender-control.js';

export interface SharedSendingDeps {
  readonly controls: readonly SenderControl[];
  /** The slot of the job in the controls. */
  readonly slot: number;
  /** Delivers the unsent positions of all jobs to `addUnsent`. */
  readonly drainUnsent: () => void;
  /** Returns the slot. */
  readonly free: () => void;
}

export class SharedSending implements Sending {
  readonly #deps: SharedSendingDeps;
  readonly #marks: VersionSpan[] = [];
  #unsent: Unsent[] = [];
  /** The last `sentUpTo`, once the slot is released. */
  #last: number | undefined;
  #lastProbes: number | undefined;

  constructor(deps: SharedSendingDeps) {
    this.#deps = deps;
  }

  get sentUpTo(): number {
    const { controls, slot } = this.#deps;
    return this.#last ?? Math.min(...controls.map((control) => control.sentUpToOf(slot)));
  }

  get probesSent(): number {
    const { controls, slot } = this.#deps;
    return this.#lastProbes ?? controls.reduce((sum, each) => sum + each.probesSentOf(slot), 0);
  }

  addUnsent(unsent: Unsent): void {
    this.#unsent.push(unsent);
  }

  takeUnsent(): readonly Unsent[] {
    if (this.#last === undefined) this.#deps.drainUnsent();
    const taken = this.#unsent;
    this.#unsent = [];
    return taken;
  }

  /** The span of a version starts at the first position from which every started sender enforces that version. */
  get versionSpans(): readonly VersionSpan[] {
    if (this.#last !== undefined) return this.#marks;
    const { controls, slot } = this.#deps;
    const begun = controls
      .map((control) => control.versionSpansOf(slot))
      .filter((each) => each.length > 0);
    const versions = new Set(begun.flat().map(({ version }) => version));
    for (const version of [...versions].sort((a, b) => a - b)) {
      const firsts = begun.map(
        (versionSpans) =>
          versionSpans.find((addVersionSpan) => addVersionSpan.version >= version)?.from,
      );
      const from = Math.max(...firsts.map((first) => first ?? Number.POSITIVE_INFINITY));
      const isNews = version > (this.#marks.at(-1)?.version ?? 0);
      if (isNews && from < Number.POSITIVE_INFINITY) this.#marks.push({ version, from });
    }
    return this.#marks;
  }

  get hasEnded(): boolean {
    const { controls, slot } = this.#deps;
    return this.#last !== undefined || controls.every((control) => control.hasEnded(slot));
  }

  abandon(): void {
    if (this.#last !== undefined) return;
    for (const control of this.#deps.controls) control.abandon(this.#deps.slot);
  }

  releaseSlot(): void {
    assert(
      this.#last === undefined && this.hasEnded,
      'a slot is released twice, or before its job has ended',
    );
    this.#deps.drainUnsent();
    this.#lastProbes = this.probesSent;
    this.#last = this.sentUpTo;
    this.#deps.free();
  }
}
