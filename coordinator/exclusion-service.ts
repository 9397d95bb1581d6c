/**
 * The exclusion service: gives each exclusion the next version, publishes it to all agents, and writes it to the log
 * in the data folder. If the broker loses or replaces exclusions, they are restored from the log.
 */
import type { Clock } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import type { CoordinatorBus } from '../shared/bus/interfaces.js';
import type { Disk } from '../shared/host/disk.js';
import { parseBlock } from '../shared/survey/lists/rule-list.js';
import {
  type Exclusion,
  Exclusions,
  inForce,
  isSameExclusion,
} from '../shared/survey/policy/exclusions.js';
import type { Log } from '../shared/telemetry/log.js';
import { ExclusionLog } from './exclusion-log.js';

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
  readonly #log: ExclusionLog;
  readonly #deps: ExclusionServiceDeps;
  #logging: Promise<void> = Promise.resolve();

  constructor(data: string, deps: ExclusionServiceDeps) {
    this.#log = new ExclusionLog(data, deps.disk);
    this.#deps = deps;
  }

  /**
   * Merges the exclusions of the log and of the broker. Where they differ, the log counts.
   * @throws Fault BAD_MESSAGE if somebody has changed the log
   */
  async restore(): Promise<void> {
    const { bus } = this.#deps;
    const logged = await this.#log.read();
    for (const entry of logged.entries) this.list.add(entry);
    const published = await bus.exclusions.list();
    for (const entry of published) await this.#take(entry);
    const known = new Set(published.map(({ version }) => version));
    for (const entry of logged.entries) {
      if (!known.has(entry.version)) await bus.exclusions.add(entry);
    }
    await this.#writeLog();
  }

  /**
   * Excludes a range. Resolves once the exclusion is published to all agents, even if the log cannot be
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
      if (!(await this.#take(entry))) continue;
      await this.#writeLog();
      yield this.list.version;
    }
  }

  /** Takes an exclusion from the broker. One that replaces a known one is overwritten. @returns whether it is new */
  async #take(entry: Exclusion): Promise<boolean> {
    const { bus, log } = this.#deps;
    const known = this.list.entries[entry.version - 1];
    if (known === undefined) return this.list.add(entry);
    if (isSameExclusion(known, entry)) return false;
    const details = { version: entry.version, prefix: known.prefix, replacement: entry.prefix };
    log.error(details, 'somebody has replaced an exclusion on the broker; it is restored');
    await bus.exclusions.replace(known);
    return false;
  }

  /** Serialised, so that an entry that was both added and received is logged once. */
  #writeLog(): Promise<void> {
    this.#logging = this.#logging.then(() => this.#writeNews());
    return this.#logging;
  }

  async #writeNews(): Promise<void> {
    try {
      await this.#log.write(this.list);
    } catch (error) {
      this.#deps.log.error(
        { error: describeError(error) },
        'failed to write the exclusion log; retrying with the next entry',
      );
    }
  }
}
