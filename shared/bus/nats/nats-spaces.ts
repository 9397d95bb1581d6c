/** Spaces in an object store, by hash: large lists travel once, in chunks. */
import { StorageType } from '@nats-io/jetstream';
import type { SpaceShelf } from '../ports.js';
import { type Link, patiently } from './link.js';
import { BUCKET } from './names.js';

export async function openSpaces(link: Link): Promise<SpaceShelf> {
  const options = { storage: StorageType.File, replicas: link.replicas };
  const store = await link.keep(() => link.objects.create(BUCKET.SPACES, options));
  return {
    async put(hash, bytes) {
      await patiently(link, async () => {
        // What is there may be anything: it stays only where it is the same.
        const known = await store.getBlob(hash);
        const isSame = known !== null && Buffer.from(bytes).equals(known);
        if (!isSame) await store.putBlob({ name: hash }, bytes);
      });
    },
    async get(hash) {
      return (await patiently(link, () => store.getBlob(hash))) ?? undefined;
    },
  };
}
