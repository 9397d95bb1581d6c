import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../../shared/base/faults.js';
import { LIMITS } from '../../../shared/base/limits.js';
import {
  agentReplyCodec,
  agentRequestCodec,
  announcementCodec,
} from '../../../shared/bus/agent-messages.js';
import { batchCodec } from '../../../shared/bus/batch-codec.js';
import type { Codec } from '../../../shared/bus/codec.js';
import { replyCodec, requestCodec } from '../../../shared/bus/control-messages.js';
import { leaseCodec, surveyCodec } from '../../../shared/bus/messages.js';
import type { ResultBatch } from '../../../shared/survey/results.js';
import { columnsOf } from '../../support/tcp-syn-set.js';

const CODECS: Record<string, Codec<unknown>> = {
  survey: surveyCodec as Codec<unknown>,
  lease: leaseCodec as Codec<unknown>,
  'request of an agent': agentRequestCodec as Codec<unknown>,
  'reply to an agent': agentReplyCodec as Codec<unknown>,
  announcement: announcementCodec as Codec<unknown>,
  request: requestCodec as Codec<unknown>,
  reply: replyCodec as Codec<unknown>,
  batch: batchCodec as Codec<unknown>,
};

const columns = columnsOf(1, 2);
const batch: ResultBatch = {
  survey: 's1',
  shard: 3,
  epoch: 1,
  serial: 2,
  agent: 'a',
  vantage: 'v',
  timestamp: 1_700_000_000_000_000,
  columns,
};

describe('messages from the broker', () => {
  test.each(Object.entries(CODECS))('%s: any octets decode or cause a fault', (_name, codec) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          codec.decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
          expect((error as Fault).code).toBe('BAD_MESSAGE');
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('that are batches are decoded as they were encoded; damaged ones are decoded or cause a fault', () => {
    const good = batchCodec.encode(batch);
    expect(batchCodec.decode(good)).toEqual(batch);
    for (let at = 0; at < good.length; at++) {
      for (const change of [1, 0x80, 0xff]) {
        const bad = good.slice();
        bad[at] = (bad[at] as number) ^ change;
        try {
          batchCodec.decode(bad);
        } catch (error) {
          expect((error as Fault).code).toBe('BAD_MESSAGE');
        }
      }
    }
  });

  test.each([
    ['columns of unequal length', { ...columns, window: [1] }],
    ['an offset beyond any shard', { ...columns, offset: [1, LIMITS.shardLengthMax] }],
    ['an unknown classification', { ...columns, classification: [1, 23] }],
  ])('that are batches with %s are refused', (_what, bad) => {
    const bytes = batchCodec.encode({ ...batch, columns: bad });
    expect(() => batchCodec.decode(bytes)).toThrow(
      expect.objectContaining({ code: 'BAD_MESSAGE' }),
    );
  });

  test('with a name that could escape its subject or folder are refused', () => {
    for (const survey of ['../etc', 'a.b', 'a>', 'a b', 'x'.repeat(65)]) {
      const bytes = announcementCodec.encode({ survey });
      expect(() => announcementCodec.decode(bytes)).toThrow(
        expect.objectContaining({ code: 'BAD_MESSAGE' }),
      );
    }
  });
});
