/**
 * The name of a result batch, under which it is kept once however often it is published. It follows
 * from what the batch is about: an epoch has one holder, and its batches are counted. Its agent is
 * part of it, so that nobody can take the place of another's batch.
 */
import type { ResultBatch } from '../survey/results.js';

export function batchIdentity({ survey, shard, epoch, serial, agent }: ResultBatch): string {
  return `${survey}.${shard}.${epoch}.${serial}.${agent}`;
}
