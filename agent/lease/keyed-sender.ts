/** A sender for one shard: adds the key of its lease to every job. */
import type { Sender, ShardSender } from '../interfaces.js';

export function withKey(sender: Sender, key: Uint8Array): ShardSender {
  return {
    send: (from, to, mode) => sender.send(from, to, { ...mode, key }),
    get freeSlots() {
      return sender.freeSlots;
    },
  };
}
