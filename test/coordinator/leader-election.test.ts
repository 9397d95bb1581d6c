/** Which coordinator leads after the broker came back without the record of the leader. */
import { describe, expect, test } from 'vitest';
import { runElection } from '../../coordinator/leader-election.js';
import { stopController } from '../../shared/base/stop.js';
import type { Leader, LeaderStore, Versioned } from '../../shared/bus/interfaces.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { VirtualClock } from '../simulation/virtual-clock.js';

class Store implements LeaderStore {
  #held: Versioned<Leader> | undefined;
  #revision = 0;

  /** The broker is restarted with an empty store. */
  lose(): void {
    this.#held = undefined;
    this.#revision = 0;
  }

  async read(): Promise<Versioned<Leader> | undefined> {
    return this.#held;
  }

  async write(value: Leader, revision: number): Promise<number | undefined> {
    if ((this.#held?.revision ?? 0) !== revision) return undefined;
    this.#held = { value, revision: ++this.#revision };
    return this.#revision;
  }
}

function election() {
  const clock = new VirtualClock();
  const store = new Store();
  const leading: string[] = [];
  const start = (id: string) => {
    const stop = stopController();
    let highest = 0;
    const terms = {
      highest: async () => highest,
      record: async (term: number) => {
        highest = Math.max(highest, term);
      },
    };
    const deps = { leader: store, clock, log: silentLog, terms };
    void runElection(id, deps, stop.signal, async (_term, signal) => {
      leading.push(id);
      while (!signal.aborted) await clock.sleep(100, signal);
    });
    return stop;
  };
  const pass = (millis: number) => clock.runUntil(clock.sleep(millis), 3_600_000);
  return { store, leading, start, pass };
}

describe('after the broker came back without the record of the leader', () => {
  test('the coordinator that led before leads on, because it has all that is stored', async () => {
    for (let pause = 0; pause < 1500; pause += 100) {
      const { store, leading, start, pass } = election();
      start('first');
      await pass(1000);
      start('second');
      start('third');
      await pass(5000 + pause);
      store.lose();
      await pass(20_000);
      expect(leading, `lost after ${pause} ms`).toEqual(['first', 'first']);
    }
  });

  test('another one leads if that one is gone, after the time of a takeover', async () => {
    const { store, leading, start, pass } = election();
    const first = start('first');
    await pass(1000);
    start('second');
    await pass(2000);
    first.abort();
    store.lose();
    await pass(4000);
    expect(leading).toEqual(['first']);
    await pass(3000);
    expect(leading).toEqual(['first', 'second']);
  });

  test('a coordinator that has just been started leads at once', async () => {
    const { leading, start, pass } = election();
    start('first');
    await pass(300);
    expect(leading).toEqual(['first']);
  });
});
