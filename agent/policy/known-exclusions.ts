/**
 * The exclusions, as the coordinator gives them: each reply to a heartbeat has their version and their hash. They only
 * ever grow, so an agent that sees other ones, or fewer, sends nothing: an opt-out may have been undone.
 */
import { describeError } from '../../shared/base/faults.js';
import type { HeartbeatReply } from '../../shared/bus/heartbeat.js';
import type { AgentBus } from '../../shared/bus/interfaces.js';
import { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { SeenExclusions } from './seen-exclusions.js';

export interface KnownExclusionsDeps {
  readonly bus: AgentBus;
  readonly log: Log;
  /** The exclusions that this host has seen before a restart; undefined if they are not stored. */
  readonly seen?: SeenExclusions | undefined;
  /** Called when newer ones were read. */
  readonly onChange: () => void;
  /** Called when an attempt to read newer ones has ended. */
  readonly onRead: () => void;
}

export class KnownExclusions {
  readonly list = new Exclusions();
  readonly #deps: KnownExclusionsDeps;
  readonly #seen: SeenExclusions | undefined;
  #isReading = false;
  #problem = '';

  constructor(deps: KnownExclusionsDeps) {
    this.#deps = deps;
    this.#seen = deps.seen;
  }

  /** The reason why nothing may be sent; empty if there is none. */
  get problem(): string {
    return this.#problem;
  }

  /** Compares ours with those of a reply. @param asked our version when the heartbeat was sent */
  onReply({ exclusionsVersion: version, exclusionsHead }: HeartbeatReply, asked: number): void {
    this.#setProblem(this.#differenceFrom(version, exclusionsHead, asked));
    if (version > this.list.version) void this.#read();
  }

  #differenceFrom(version: number, head: string, asked: number): string {
    const before = Math.max(asked, this.#seen?.version ?? 0);
    if (version < before)
      return `the coordinator has ${version} exclusions, this agent has ${before}; nothing is sent`;
    if (this.#seen?.isContradictedBy(this.list) === true)
      return (
        `the exclusions of the coordinator are not those that this host knew (${this.#seen.file}); ` +
        'nothing is sent'
      );
    if (version > this.list.version || head === this.list.headAt(version)) return '';
    return 'the exclusions of the coordinator are not those of this agent; nothing is sent';
  }

  #setProblem(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    if (problem !== '') this.#deps.log.error({}, problem);
    else this.#deps.log.info({}, 'the exclusions of the coordinator are those of this agent again');
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const { bus, log, onChange, onRead } = this.#deps;
    try {
      const after = this.list.version;
      const { exclusions } = await bus.coordinator.ask('exclusions', { after });
      for (const entry of exclusions) this.list.add(entry);
      onChange();
      await this.#seen?.keep(this.list);
    } catch (error) {
      log.warn({ error: describeError(error) }, 'cannot read the exclusions; retrying');
    } finally {
      this.#isReading = false;
      onRead();
    }
  }
}
