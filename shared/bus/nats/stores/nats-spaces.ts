/** Target spaces in an object store, by hash: large lists travel once, in chunks. */
import { StorageType } from '@nats-io/jetstream';
import type { SpaceStore } from '../../interfaces.js';
import type { BrokerConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { BUCKET } from '../subjects.js';

export async function openSpaces(broker: BrokerConnection): Promise<SpaceStore> {
  const options = { storage: StorageType.File, replicas: broker.replicas };
  const store = await broker.keep(() => broker.objects.create(BUCKET.SPACES, options));
  return {
    async put(hash, bytes) {
      await withRetry(broker, async () => {
        // The object may be anything: it is kept only if it has the right bytes.
        const known = await store.getBlob(hash);
        const isSame = known !== null && Buffer.from(bytes).equals(known);
        if (!isSame) await store.putBlob({ name: hash }, bytes);
      });
    },
    async get(hash) {
      return (await withRetry(broker, () => store.getBlob(hash))) ?? undefined;
    },
  };
}
