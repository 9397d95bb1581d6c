/**
 * A survey's record on the bus, as its coordinator writes it: in order, by compare-and-set. A coordinator
 * that takes over a survey writes the record once, so that pending writes of an earlier coordinator fail.
 * Each record names the term in which it was written (a fencing term), so two coordinators never write the
 * same bytes. If the answer to a write is lost, a coordinator therefore cannot mistake another coordinator's
 * write for its own.
 */
import { assert } from '../../shared/base/assert.js';
import { Fault } from '../../shared/base/faults.js';
import { PROTOCOL } from '../../shared/base/version.js';
import type { SurveyStore, Versioned } from '../../shared/bus/interfaces.js';
import type { Survey } from '../../shared/survey/survey.js';

export class SurveyRecord {
  readonly #store: SurveyStore;
  readonly #term: number;
  #revision: number;
  #writing: Promise<void> = Promise.resolve();

  /** @param revision the record's current revision; 0 if there is no record yet */
  constructor(store: SurveyStore, term: number, revision = 0) {
    assert(term > 0 && revision >= 0, `a record cannot have term ${term} and revision ${revision}`);
    this.#store = store;
    this.#term = term;
    this.#revision = revision;
  }

  /**
   * Waits for all earlier writes, then calls `read` and writes what it returns.
   * @throws Fault DEPOSED if another coordinator wrote
   */
  write(read: () => Survey): Promise<void> {
    const write = async () => {
      const survey = { ...read(), term: this.#term };
      const revision = await this.#store.write(survey, this.#revision);
      if (revision === undefined) throw deposed(survey.id);
      this.#revision = revision;
    };
    const writing = this.#writing.then(write);
    this.#writing = writing.catch(() => {}); // the caller gets the error
    return writing;
  }
}

/**
 * Takes a record over from its last writer, even if it has changed since it was read.
 * @throws Fault DEPOSED if a later coordinator leads, or the record is gone
 */
export async function takeOver(
  store: SurveyStore,
  term: number,
  known: Versioned<Survey>,
): Promise<{ readonly survey: Survey; readonly record: SurveyRecord }> {
  let found: Versioned<Survey> | undefined = known;
  while (found !== undefined) {
    if (found.value.term > term) break; // a later coordinator leads
    const survey = { ...found.value, term, protocol: PROTOCOL };
    const written = await store.write(survey, found.revision);
    if (written !== undefined) return { survey, record: new SurveyRecord(store, term, written) };
    found = await store.read(survey.id);
  }
  throw deposed(known.value.id);
}

function deposed(survey: string): Fault {
  return new Fault('DEPOSED', 'another coordinator has taken over', { value: survey });
}
