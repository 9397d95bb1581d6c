/**
 * The exclusion service: gives each exclusion the next version, publishes it to all agents, and writes it to
 * an audit log in the data folder. If the broker loses exclusions, they are restored from the log.
 */
import { join } from 'node:path';
import type { Clock } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import type { CoordinatorBus } from '../shared/bus/interfaces.js';
import type { Disk } from '../shared/host/disk.js';
import { parseBlock } from '../shared/survey/lists/rule-list.js';
import { type Exclusion, Exclusions, inForce } from '../shared/survey/policy/exclusions.js';
import type { Log } from '../shared/telemetry/log.js';

const LOG_FILE = 'exclusions.ndjson';
const AGAIN_MILLIS = 20;
const TRIES = 50;

export interface ExclusionServiceDeps {
  readonly bus: Pick<CoordinatorBus, 'exclusions'>;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
}

export class ExclusionService {
  readonly list = new Exclusions();
  readonly #file: string;
  readonly #deps: ExclusionServiceDeps;
  /** The highest version written to the audit log. */
  #logged = 0;
  #logging: Promise<void> = Promise.resolve();

  constructor(data: string, deps: ExclusionServiceDeps) {
    this.#file = join(data, LOG_FILE);
    this.#deps = deps;
  }

  /** Merges the exclusions of the broker and of the audit log. */
  async restore(): Promise<void> {
    const { bus, disk } = this.#deps;
    const logged = new Exclusions();
    for await (const line of disk.lines(this.#file)) {
      const entry = parseEntry(line);
      if (entry !== undefined) logged.add(entry);
    }
    this.#logged = logged.version;
    for (const entry of await bus.exclusions.list()) this.list.add(entry);
    for (const entry of logged.entries.slice(this.list.version)) await bus.exclusions.add(entry);
    for (const entry of logged.entries) this.list.add(entry);
    await this.#writeLog();
  }

  /**
   * Excludes a range. Resolves once the exclusion is published to all agents, even if the audit log cannot be
   * written: then the entry is logged together with the next one.
   * @returns its version
   * @throws Fault BAD_LIST or BAD_OPTION about the prefix, BAD_MESSAGE about data on the broker
   */
  async add(prefix: string, reason: string, by: string): Promise<number> {
    const [range = ''] = parseBlock(prefix.trim(), 'CIDR').texts;
    return await this.#enter({ prefix: range, reason, by, lifts: 0 });
  }

  /**
   * Lifts an exclusion: from then on, running surveys probe the targets in its range that they have not
   * reached yet.
   * @param lifted its version, or its range in any form
   * @returns the version that lifts it
   * @throws Fault BAD_OPTION if there is no such exclusion
   */
  async lift(lifted: string, reason: string, by: string): Promise<number> {
    const wanted = lifted.trim();
    const range = /^\d+$/.test(wanted) ? undefined : parseBlock(wanted, 'RANGE').texts[0];
    const entry = inForce(this.list.entries).find(
      ({ version, prefix }) => wanted === String(version) || range === prefix,
    );
    if (entry === undefined) {
      const why = 'no exclusion in force has this version or range; see: transect exclude list';
      throw new Fault('BAD_OPTION', why, { value: wanted });
    }
    return await this.#enter({ prefix: entry.prefix, reason, by, lifts: entry.version });
  }

  async #enter(content: Pick<Exclusion, 'prefix' | 'reason' | 'by' | 'lifts'>): Promise<number> {
    const { bus, clock } = this.#deps;
    for (let tries = TRIES; tries > 0; tries--) {
      const version = this.list.version + 1;
      const entry: Exclusion = { ...content, version, at: clock.wall() };
      if (await bus.exclusions.add(entry)) {
        this.list.add(entry);
        await this.#writeLog();
        return version;
      }
      await clock.sleep(AGAIN_MILLIS); // another coordinator was faster: its entry is about to arrive
      for (const known of await bus.exclusions.list()) this.list.add(known);
    }
    const why = 'the exclusion under this key on the broker cannot be read; delete the key';
    throw new Fault('BAD_MESSAGE', why, { value: `v.${this.list.version + 1}` });
  }

  /** Yields the new version whenever another coordinator has entered an exclusion. */
  async *follow(signal: AbortSignal): AsyncGenerator<number> {
    for await (const entry of this.#deps.bus.exclusions.watch(signal)) {
      if (!this.list.add(entry)) continue;
      await this.#writeLog();
      yield this.list.version;
    }
  }

  /** Serialised, so that an entry that was both added and received is logged once. */
  #writeLog(): Promise<void> {
    this.#logging = this.#logging.then(() => this.#writeNews());
    return this.#logging;
  }

  async #writeNews(): Promise<void> {
    const { disk, log } = this.#deps;
    const { version, entries } = this.list;
    const news = entries.slice(this.#logged, version);
    if (news.length === 0) return;
    try {
      await disk.append(this.#file, news.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
      this.#logged = Math.max(this.#logged, version);
    } catch (error) {
      log.error(
        { error: describeError(error) },
        'failed to write the exclusion log; retrying with the next entry',
      );
    }
  }
}

/** Undefined for a torn line. */
function parseEntry(line: string): Exclusion | undefined {
  try {
    const entry = JSON.parse(line) as Exclusion;
    const isEntry = typeof entry.version === 'number' && typeof entry.prefix === 'string';
    return isEntry ? { ...entry, lifts: entry.lifts ?? 0 } : undefined;
  } catch {
    return undefined;
  }
}
