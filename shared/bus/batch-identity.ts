/**
 * The name of a result batch, under which it is kept once however often it is published. It follows
 * from what the batch is about: an epoch has one holder, and its batches are counted.
 */
import type { ResultBatch } from '../survey/results.js';

export function batchIdentity({ survey, shard, epoch, serial }: ResultBatch): string {
  return `${survey}.${shard}.${epoch}.${serial}`;
}
