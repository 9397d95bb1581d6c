import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mirror } from '../../coordinator/cli/stored/survey-files.js';
import { Fault } from '../../shared/base/faults.js';
import { stopController } from '../../shared/base/stop.js';
import type { ControlHandlers } from '../../shared/bus/control-api.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'transect-mirror-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** A coordinator whose folder has these files. Calls `onList` when it has listed them, before it sends the list. */
function serving(files: Map<string, string>, onList: () => void) {
  const broker = memoryBroker();
  const handlers = {
    files: async () => {
      const listed = [...files.keys()];
      onList();
      return { survey: 's', folder: '/elsewhere', files: listed };
    },
    file: async ({ file }: { file: string }) => {
      const content = files.get(file);
      if (content === undefined) throw new Fault('NOT_FOUND', 'the survey has no such file');
      const chunk = new TextEncoder().encode(content);
      return { chunk, total: chunk.length };
    },
  };
  broker.coordinator.people.serve(handlers as unknown as ControlHandlers, stopController().signal);
  return broker.people;
}

test('if files are merged while a survey is copied, the copy follows the new list', async () => {
  const first = 'segments/000000000.csv';
  const merged = 'segments/000000000-000000064.csv';
  const files = new Map([[first, 'a']]);
  const bus = serving(files, () => {
    files.delete(first);
    files.set(merged, 'ab');
  });
  await mirror(bus, 's', folder);
  expect(await readFile(join(folder, merged), 'utf8')).toBe('ab');
});

test('a survey that has no journal yet is copied without it', async () => {
  const files = new Map([['segments/000000000.csv', 'a']]);
  await mirror(
    serving(files, () => {}),
    's',
    folder,
  );
  expect(await readdir(folder)).toEqual(['segments']);
});
