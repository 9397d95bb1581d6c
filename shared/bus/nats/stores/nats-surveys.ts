/** Surveys in a key-value bucket. */
import type { KV } from '@nats-io/kv';
import type { Survey } from '../../../survey/survey.js';
import type { SurveyStore, Versioned } from '../../interfaces.js';
import { surveyCodec } from '../../messages.js';
import type { BrokerConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { decodeOrSkip } from '../subscribe.js';
import { compareAndSet } from './compare-and-set.js';

export class NatsSurveys implements SurveyStore {
  readonly #broker: BrokerConnection;
  readonly #bucket: KV;

  constructor(broker: BrokerConnection, bucket: KV) {
    this.#broker = broker;
    this.#bucket = bucket;
  }

  async read(id: string): Promise<Versioned<Survey> | undefined> {
    const entry = await withRetry(this.#broker, () => this.#bucket.get(id));
    if (entry?.operation !== 'PUT') return undefined;
    return { value: surveyCodec.decode(entry.value), revision: entry.revision };
  }

  async write(survey: Survey, revision: number): Promise<number | undefined> {
    const bytes = surveyCodec.encode(survey);
    return await compareAndSet(this.#broker, this.#bucket, survey.id, { bytes, revision });
  }

  async list(): Promise<readonly Versioned<Survey>[]> {
    const surveys: Versioned<Survey>[] = [];
    for await (const key of await withRetry(this.#broker, () => this.#bucket.keys())) {
      const entry = await withRetry(this.#broker, () => this.#bucket.get(key));
      const value = entry ? decodeOrSkip(surveyCodec, entry.value) : undefined;
      if (entry && value !== undefined) surveys.push({ value, revision: entry.revision });
    }
    return surveys;
  }
}
