/**
 * One host of the simulation: its clock, its connection to the broker, its disk, and their faults.
 * Each call to an interface is a point where it can die: before the call is done, or after it, so that only
 * the answer is lost.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Millis } from '../../shared/base/brand.js';
import { Channel } from '../../shared/base/channel.js';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { stopController } from '../../shared/base/stop.js';
import type {
  AgentBus,
  CoordinatorBus,
  ResultDelivery,
  Versioned,
} from '../../shared/bus/interfaces.js';
import type { MemoryBroker } from '../../shared/bus/memory/memory-broker.js';
import type { Disk } from '../../shared/host/disk.js';

const NEVER = new Promise<never>(() => {});
/** A request without an answer is repeated after this. */
const TRY_AGAIN_MILLIS = 300;
const LOOK_MILLIS = 50;

export interface HostOptions {
  readonly clock: Clock;
  readonly roll: () => number;
  /** Milliseconds each way, at most. */
  readonly delay: number;
  /** Share of answers and of unacknowledged messages that is lost. */
  readonly loss: number;
  /** The start of its monotonic clock, and the initial error of its wall clock, in milliseconds. */
  readonly origin: number;
}

export class Host {
  readonly #dead = stopController();
  readonly #options: HostOptions;
  isOutCut = false;
  isInCut = false;
  isFrozen = false;
  /** Milliseconds by which its wall clock is ahead. */
  skew: number;
  /** The number of the interface call at which it dies, and whether that call is still done. */
  crashAt = Number.POSITIVE_INFINITY;
  crashesAfter = false;
  /** Milliseconds per write, at most. */
  diskMillis = 0;
  calls = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.skew = options.origin;
  }

  get dead(): AbortSignal {
    return this.#dead.signal;
  }

  die(): void {
    this.#dead.abort();
  }

  readonly clock: Clock = {
    wall: () => (this.#options.clock.wall() + this.skew) as Millis,
    monotonic: () => (this.#options.clock.monotonic() + this.#options.origin) as Millis,
    sleep: async (millis, signal) => {
      await this.#options.clock.sleep(millis, signal);
      await this.#thaw();
    },
  };

  /** The broker as a coordinator on this host reaches it. */
  coordinatorBus({ coordinator: broker }: MemoryBroker): CoordinatorBus {
    const ask = <Result>(work: () => Promise<Result>) => this.#ask(work);
    return {
      ...broker,
      surveys: {
        write: (survey, revision) =>
          ask(() =>
            decided(
              () => broker.surveys.write(survey, revision),
              () => broker.surveys.read(survey.id),
              survey,
            ),
          ),
        read: (id) => ask(() => broker.surveys.read(id)),
        list: () => ask(() => broker.surveys.list()),
      },
      spaces: {
        put: (hash, bytes) => ask(() => broker.spaces.put(hash, bytes)),
        get: (hash) => ask(() => broker.spaces.get(hash)),
      },
      leases: {
        read: (survey, shard) => ask(() => broker.leases.read(survey, shard)),
        list: (survey) => ask(() => broker.leases.list(survey)),
        purge: (survey, before) => ask(() => broker.leases.purge(survey, before)),
        write: (lease, revision) =>
          ask(() =>
            decided(
              () => broker.leases.write(lease, revision),
              () => broker.leases.read(lease.survey, lease.shard),
              lease,
            ),
          ),
      },
      results: { consume: (signal) => this.#deliveries(broker, signal) },
      exclusions: {
        add: (entry) =>
          ask(async () => {
            if (await broker.exclusions.add(entry)) return true;
            const entries = await broker.exclusions.list();
            return entries.some((each) => isSame(each, entry));
          }),
        list: () => ask(() => broker.exclusions.list()),
        replace: (entry) => ask(() => broker.exclusions.replace(entry)),
        watch: (signal) => this.#follow(broker.exclusions.watch(signal), signal),
      },
      openReplication: async () => {
        const log = await broker.openReplication();
        return {
          state: () => ask(() => log.state()),
          append: (changes, after) => ask(() => log.append(changes, after)),
          read: (after) => this.#read(() => log.read(after)),
          forget: (path, before) => ask(() => log.forget(path, before)),
        };
      },
      agents: {
        announce: (survey) => this.#say(() => broker.agents.announce(survey)),
        serve: (handlers, signal) => broker.agents.serve(this.#served(handlers), signal),
      },
      people: {
        serve: (handlers, signal) => broker.people.serve(this.#served(handlers), signal),
      },
      leader: {
        read: () => ask(() => broker.leader.read()),
        write: (leader, revision) =>
          ask(() =>
            decided(
              () => broker.leader.write(leader, revision),
              () => broker.leader.read(),
              leader,
            ),
          ),
      },
    };
  }

  /** The broker as an agent on this host reaches it. */
  agentBus(broker: MemoryBroker, name: string): AgentBus {
    const bus = broker.agent(name);
    return {
      ...bus,
      coordinator: { ask: (verb, given) => this.#request(() => bus.coordinator.ask(verb, given)) },
      results: { publish: (batch, key) => this.#ask(() => bus.results.publish(batch, key)) },
      announcements: (signal) => this.#overhear(bus.announcements(signal), signal),
    };
  }

  /** The disk of this host: it may be slow or full, and the host may die before or after a write, but never within
   * one, so files and lines are whole. */
  disk(disk: Disk): Disk {
    const write = async (work: () => Promise<void>) => {
      await this.#point(true);
      if (this.diskMillis > 0) await this.clock.sleep(this.diskMillis * this.#options.roll());
      await this.#thaw();
      await work();
      await this.#point(false);
    };
    return {
      ...disk,
      writeWhole: (file, chunks) => write(() => disk.writeWhole(file, chunks)),
      writeSecret: (file, text) => write(() => disk.writeSecret(file, text)),
      makeWhole: (file, make) => write(() => disk.makeWhole(file, make)),
      append: (file, lines) => write(() => disk.append(file, lines)),
      remove: (file) => write(() => disk.remove(file)),
      read: (file) => disk.read(file),
      readPart: (file, offset, length) => disk.readPart(file, offset, length),
      lines: (file) => disk.lines(file),
      list: (folder) => disk.list(folder),
      folders: (folder) => disk.folders(folder),
      size: (file) => disk.size(file),
    };
  }

  /** A point where the host may die. @param isBefore true if the point is before the call, not after it */
  async #point(isBefore: boolean): Promise<void> {
    if (isBefore) this.calls++;
    if (this.calls >= this.crashAt && isBefore !== this.crashesAfter) this.die();
    await this.#thaw();
  }

  async #thaw(): Promise<void> {
    while (this.isFrozen && !this.dead.aborted) await this.#options.clock.sleep(LOOK_MILLIS);
    if (this.dead.aborted) await NEVER;
  }

  async #pass(): Promise<void> {
    const { clock, roll, delay } = this.#options;
    if (delay > 0) await clock.sleep(delay * roll());
  }

  /** A request that is repeated until it is answered. */
  async #ask<Result>(work: () => Promise<Result>): Promise<Result> {
    const { clock, roll, loss } = this.#options;
    for (;;) {
      await this.#point(true);
      await this.#pass();
      if (!this.isOutCut) {
        const result = await work();
        await this.#point(false);
        await this.#pass();
        await this.#thaw();
        if (!this.isInCut && roll() >= loss) return result;
      }
      await clock.sleep(TRY_AGAIN_MILLIS);
    }
  }

  /** A request that fails unless it is answered in time. It may arrive although its answer does not. */
  async #request<Result>(work: () => Promise<Result>): Promise<Result> {
    const { clock, roll, loss } = this.#options;
    await this.#point(true);
    const attempt = async () => {
      await this.#pass();
      if (this.isOutCut || roll() < loss) return await NEVER;
      const result = await work();
      await this.#pass();
      if (this.isInCut || roll() < loss) return await NEVER;
      return result;
    };
    const timeout = async () => {
      await clock.sleep(LIMITS.requestMillis);
      throw new Fault('NO_COORDINATOR', 'nobody answers');
    };
    const result = await Promise.race([attempt(), timeout()]);
    await this.#point(false);
    await this.#thaw();
    return result;
  }

  /** An unacknowledged message: delayed, lost, or duplicated. */
  #say(work: () => void): void {
    const { roll, loss } = this.#options;
    if (this.dead.aborted || this.isFrozen || this.isOutCut || roll() < loss) return;
    const say = () => void this.#pass().then(work);
    say();
    if (roll() < loss) say();
  }

  /** A dead, frozen or disconnected host does not answer. */
  #served<Handlers extends object>(handlers: Handlers): Handlers {
    const served = Object.entries(handlers).map(([verb, handler]) => [
      verb,
      async (...given: never[]) => {
        await this.#thaw();
        if (this.isInCut) await NEVER;
        const answer = await (handler as (...given: never[]) => Promise<unknown>)(...given);
        await this.#thaw();
        return this.isOutCut ? NEVER : answer;
      },
    ]);
    return Object.fromEntries(served) as Handlers;
  }

  /** Messages of a stream or a watch: delayed, in order, and continued after a disconnection. */
  async *#follow<Item>(items: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item> {
    const { clock, roll, delay } = this.#options;
    const inFlight = new Channel<{ item: Item; due: number }>(signal);
    const read = async () => {
      let due = 0;
      for await (const item of items) {
        due = Math.max(due, clock.monotonic() + delay * roll());
        inFlight.push({ item, due });
      }
    };
    void read();
    for await (const { item, due } of inFlight) {
      const early = due - clock.monotonic();
      if (early > 0) await clock.sleep(early, signal);
      while (this.isInCut && !signal.aborted) await clock.sleep(LOOK_MILLIS, signal);
      await this.#thaw();
      yield item;
    }
  }

  async *#deliveries(broker: CoordinatorBus, signal: AbortSignal): AsyncGenerator<ResultDelivery> {
    const { roll, loss } = this.#options;
    for await (const delivery of this.#follow(broker.results.consume(signal), signal)) {
      const received = { ...delivery, acknowledge: () => this.#say(() => delivery.acknowledge()) };
      yield received;
      if (roll() < loss) yield received;
    }
  }

  /** Reads all there is at this time. */
  async *#read<Item>(read: () => AsyncIterable<Item>): AsyncGenerator<Item> {
    const found = await this.#ask(async () => {
      const items: Item[] = [];
      for await (const item of read()) items.push(item);
      return items;
    });
    for (const item of found) {
      await this.#thaw();
      yield item;
    }
  }

  async *#thawed<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    for await (const item of items) {
      await this.#thaw();
      yield item;
    }
  }

  /** Received unacknowledged messages: delayed, reordered, duplicated, or lost. */
  #overhear<Item>(items: AsyncIterable<Item>, signal: AbortSignal): AsyncIterable<Item> {
    const { roll, loss } = this.#options;
    const received = new Channel<Item>(signal);
    const listen = async () => {
      for await (const item of items) {
        if (this.dead.aborted || this.isFrozen || this.isInCut || roll() < loss) continue;
        void this.#pass().then(() => received.push(item));
        if (roll() < loss) void this.#pass().then(() => received.push(item));
      }
    };
    void listen();
    return this.#thawed(received);
  }
}

/** Writes as the NATS stores do: a write whose answer was lost is recognised by its content. */
async function decided<Value>(
  write: () => Promise<number | undefined>,
  read: () => Promise<Versioned<Value> | undefined>,
  wanted: Value,
): Promise<number | undefined> {
  const written = await write();
  if (written !== undefined) return written;
  const found = await read();
  return isSame(found?.value, wanted) ? found?.revision : undefined;
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === undefined || other === undefined) return false;
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  return isDeepStrictEqual(plain(one), plain(other));
}
