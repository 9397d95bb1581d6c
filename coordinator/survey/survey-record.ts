/**
 * A survey's record on the bus, as its coordinator writes it: in order, and only as long as nobody
 * else does. Whoever takes a survey over writes its record once, so that what a coordinator before it
 * still had under way comes too late. Each record names the term it was written in: no two coordinators
 * write the same, so neither takes the other's for its own whose answer was lost.
 */
import { Fault } from '../../shared/base/faults.js';
import { PROTOCOL } from '../../shared/base/version.js';
import type { SurveyStore, Versioned } from '../../shared/bus/interfaces.js';
import type { Survey } from '../../shared/survey/survey.js';

export class SurveyRecord {
  readonly #board: SurveyStore;
  readonly #term: number;
  #revision: number;
  #writing: Promise<void> = Promise.resolve();

  /** @param revision of the record as it stands; 0 where there is none yet */
  constructor(board: SurveyStore, term: number, revision = 0) {
    this.#board = board;
    this.#term = term;
    this.#revision = revision;
  }

  /** Writes what `read` says when its turn comes. @throws Fault UNWRITABLE where another one wrote */
  write(read: () => Survey): Promise<void> {
    const write = async () => {
      const survey = { ...read(), term: this.#term };
      const revision = await this.#board.write(survey, this.#revision);
      if (revision === undefined) throw deposed(survey.id);
      this.#revision = revision;
    };
    const writing = this.#writing.then(write);
    this.#writing = writing.catch(() => {}); // told to whoever asked for it
    return writing;
  }
}

/** Takes a record from whoever wrote it last; it may have changed meanwhile. @throws Fault UNWRITABLE */
export async function takeOver(
  board: SurveyStore,
  term: number,
  known: Versioned<Survey>,
): Promise<{ readonly survey: Survey; readonly record: SurveyRecord }> {
  let found: Versioned<Survey> | undefined = known;
  while (found !== undefined) {
    if (found.value.term > term) break; // ours is over
    const survey = { ...found.value, term, protocol: PROTOCOL };
    const written = await board.write(survey, found.revision);
    if (written !== undefined) return { survey, record: new SurveyRecord(board, term, written) };
    found = await board.read(survey.id);
  }
  throw deposed(known.value.id);
}

function deposed(survey: string): Fault {
  return new Fault('UNWRITABLE', 'another coordinator has taken over', { value: survey });
}
