/** Encodes result batches; decoding checks the columns by hand. */
import { createHmac } from 'node:crypto';
import { LIMITS } from '../base/limits.js';
import { CLASSES_MAX } from '../probe/probe-set.js';
import {
  COLUMN_NAMES,
  type Columns,
  DATA_OCTETS_MAX,
  NO_DATA,
  type ResultBatch,
  usualValue,
} from '../survey/results.js';
import { isUnsent } from '../survey/unsent.js';
import { type Codec, decodeWith, malformed, token } from './codec.js';
import { transect } from './gen/messages.js';

const proto = transect.v1;
const isKnownCode = (code: number) => isUnsent(code) || (code > 0 && code <= CLASSES_MAX);

/** Does not use a schema: checking each element against one would cost more than the rest of decoding. */
export const batchCodec: Codec<ResultBatch> = {
  encode({ columns, ...head }) {
    const sparse: Partial<Columns> = { offset: columns.offset };
    for (const name of COLUMN_NAMES) {
      const usual = usualValue(name);
      if (columns[name].some((value) => value !== usual)) sparse[name] = columns[name];
    }
    if (columns.data.some(({ length }) => length > 0)) sparse.data = columns.data;
    return proto.ResultBatch.encode({ ...head, ...sparse }).finish();
  },
  decode(bytes) {
    const message = decodeWith(proto.ResultBatch, bytes);
    const survey = token.safeParse(message.survey).data;
    // Only the survey is checked here. A batch with other fields that cannot be written is set aside
    // later, where the log can name its agent (`reasonUnwritable`).
    if (survey === undefined) throw malformed('ResultBatch', 'survey');
    const { agent, vantage, shard, epoch, serial } = message;
    const rows = message.offset.length;
    const columns = { data: filled(message.data, rows, NO_DATA) } as Columns;
    for (const name of COLUMN_NAMES) columns[name] = filled(message[name], rows, usualValue(name));
    for (const name of [...COLUMN_NAMES, 'data'] as const) {
      if (columns[name].length !== rows) throw malformed('ResultBatch', name);
    }
    if (!columns.offset.every((offset) => offset < LIMITS.shardLengthMax)) {
      throw malformed('ResultBatch', 'offset');
    }
    if (!columns.classification.every(isKnownCode)) {
      throw malformed('ResultBatch', 'classification');
    }
    if (!columns.data.every(({ length }) => length <= DATA_OCTETS_MAX)) {
      throw malformed('ResultBatch', 'data');
    }
    const timestamp = Number(message.timestamp);
    return { survey, shard, epoch, serial, agent, vantage, timestamp, columns };
  },
};

/** An absent column has the usual value in all rows. */
function filled<Value>(column: Value[], rows: number, usual: Value): Value[] {
  return column.length === 0 ? new Array<Value>(rows).fill(usual) : column;
}

/**
 * The message id of a batch: the stream keeps one message per id, however often it is published. An epoch has
 * one holder, and its batches are numbered. The id is made with the key of the lease, which nobody else knows: so no
 * other agent can publish something under it first, and take the place of the batch.
 */
export function batchId({ survey, shard, epoch, serial }: ResultBatch, key: Uint8Array): string {
  return createHmac('sha256', key)
    .update(`${survey}.${shard}.${epoch}.${serial}`)
    .digest('base64url');
}
