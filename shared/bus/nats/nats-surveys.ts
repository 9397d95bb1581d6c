/** Surveys in a key-value bucket. */
import type { KV } from '@nats-io/kv';
import type { Survey } from '../../survey/survey.js';
import { surveyCodec } from '../messages.js';
import type { SurveyBoard } from '../ports.js';
import { type Link, patiently } from './link.js';
import { decodeOrSkip, watchBucket } from './subscribe.js';

export class NatsSurveys implements SurveyBoard {
  readonly #link: Link;
  readonly #bucket: KV;

  constructor(link: Link, bucket: KV) {
    this.#link = link;
    this.#bucket = bucket;
  }

  async put(survey: Survey): Promise<void> {
    await patiently(this.#link, () => this.#bucket.put(survey.id, surveyCodec.encode(survey)));
  }

  async read(id: string): Promise<Survey | undefined> {
    const entry = await patiently(this.#link, () => this.#bucket.get(id));
    return entry?.operation === 'PUT' ? surveyCodec.decode(entry.value) : undefined;
  }

  async list(): Promise<readonly Survey[]> {
    const surveys: Survey[] = [];
    for await (const key of await patiently(this.#link, () => this.#bucket.keys())) {
      const entry = await patiently(this.#link, () => this.#bucket.get(key));
      const survey = entry ? decodeOrSkip(surveyCodec, entry.value) : undefined;
      if (survey !== undefined) surveys.push(survey);
    }
    return surveys;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Survey> {
    const changes = watchBucket(this.#link, this.#bucket, '>', surveyCodec, signal);
    for await (const { value } of changes) yield value;
  }
}
