/** Encodes result batches; decoding checks the columns by hand. */
import { LIMITS } from '../base/limits.js';
import { CLASSIFICATION_NAMES } from '../probe/classification.js';
import { COLUMN_NAMES, type Columns, type ResultBatch, UPPER_COLUMNS } from '../survey/results.js';
import { isUnsent } from '../survey/unsent.js';
import { type Codec, decodeWith, malformed, token } from './codec.js';
import { transect } from './gen/messages.js';

const proto = transect.v1;
const isKnownCode = (code: number) =>
  isUnsent(code) || (code > 0 && code < CLASSIFICATION_NAMES.length);

/** Does not use a schema: checking each element against one would cost more than the rest of decoding. */
export const batchCodec: Codec<ResultBatch> = {
  encode({ columns, ...head }) {
    const isIpv4 = UPPER_COLUMNS.every(([name, word]) => columns[name].every((w) => w === word));
    const upper = isIpv4 ? UPPER_COLUMNS.map(([name]) => [name, []]) : [];
    const sparse = { ...head, ...columns, ...Object.fromEntries(upper) };
    return proto.ResultBatch.encode(sparse).finish();
  },
  decode(bytes) {
    const message = decodeWith(proto.ResultBatch, bytes);
    const survey = token.safeParse(message.survey).data;
    // Batches that cannot be written are set aside later, with the name of their agent (`reasonUnwritable`).
    if (survey === undefined) throw malformed('ResultBatch', 'survey');
    const { agent, vantage } = message;
    const isIpv4 = UPPER_COLUMNS.every(([name]) => message[name].length === 0);
    const columns = {} as Columns;
    for (const [name, word] of isIpv4 ? UPPER_COLUMNS : []) {
      message[name] = message.offset.map(() => word);
    }
    for (const name of COLUMN_NAMES) {
      columns[name] = message[name];
      if (columns[name].length !== message.offset.length) throw malformed('ResultBatch', name);
    }
    if (!columns.offset.every((offset) => offset < LIMITS.shardLengthMax)) {
      throw malformed('ResultBatch', 'offset');
    }
    if (!columns.classification.every(isKnownCode)) {
      throw malformed('ResultBatch', 'classification');
    }
    const { shard, epoch, serial } = message;
    const timestamp = Number(message.timestamp);
    return { survey, shard, epoch, serial, agent, vantage, timestamp, columns };
  },
};

/**
 * The message id of a batch: the stream keeps one message per id, however often it is published. An epoch has
 * one holder, and its batches are numbered. The agent is part of the id, so that no other agent can publish a
 * batch in its place.
 */
export function batchId({ survey, shard, epoch, serial, agent }: ResultBatch): string {
  return `${survey}.${shard}.${epoch}.${serial}.${agent}`;
}
