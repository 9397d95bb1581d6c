/** Tests of which contents are trusted in folders that are copies or were made by others. */

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { admit } from '../../coordinator/admission/admission.js';
import { persistentTerms } from '../../coordinator/persistent-terms.js';
import { SigningKey } from '../../coordinator/storage/signing-key.js';
import { SurveyFolder } from '../../coordinator/storage/survey-folder.js';
import { FinishedSurvey } from '../../coordinator/survey/finished-survey.js';
import { orphanedSurveys } from '../../coordinator/survey/orphaned-surveys.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import { makeFolder, systemDisk } from '../../shared/host/disk.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { rulesToBytes } from '../../shared/survey/policy/block-rules.js';
import { Exclusions } from '../../shared/survey/policy/exclusions.js';
import { Space } from '../../shared/survey/space/space.js';
import { hashSpace, spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';

const random = { bytes: (length: number) => Uint8Array.from({ length }, () => 4) };
const space = Space.ofIpv4(Ranges.of([{ from: 0x7f010000, to: 0x7f010100 }]), [80] as ProbePort[]);
const bytes = spaceToBytes(space, '7');
const rules = rulesToBytes([], ['127.0.0.0/8']);
const { survey } = admit(
  {
    ...{
      name: '',
      probes: TCP_SYN,
      probesPerTarget: 1,
      aliasLengths: [],
      crossCheckInterval: 0,
      limits: limitsOf(space),
      seed: '7',
      rows: 'all',
      segmentFormat: 'csv',
    },
    ...{ contact: '', purpose: '', allowSpecial: ['127.0.0.0/8'] },
    ...{ authorization: '', signature: '' },
    rate: 1000 as Pps,
    cooldown: 1000 as Millis,
    spaceHash: hashSpace(bytes),
    rulesHash: hashSpace(rules),
  },
  space,
  { random, now: 1 },
);

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'transect-folders-'));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const folder = () => join(data, survey.id);
const create = async (isRestorable = true) => {
  const surveyFolder = new SurveyFolder(folder(), 'csv', {
    disk: systemDisk,
    term: 1,
    signingKey: new SigningKey(folder(), systemDisk),
  });
  await surveyFolder.create(survey, { space: bytes, rules, isRestorable });
};
const orphans = async (known: string[] = [], before = [] as (typeof survey)[]) => {
  const found: (typeof survey)[] = [];
  const deps = { disk: systemDisk, random, log: silentLog };
  for await (const each of orphanedSurveys(data, new Set(known), before, deps)) {
    found.push(each.survey);
  }
  return found;
};

describe('a folder of a survey that the broker does not know', () => {
  test('is restored as a paused survey with a new key, or unchanged if this coordinator has led the survey', async () => {
    await create();
    const state = { state: 'paused', id: survey.id, planHash: survey.planHash };
    expect(await orphans()).toMatchObject([state]);
    expect(await orphans([], [{ ...survey, rate: 7 as Pps }])).toMatchObject([
      { state: 'running', rate: 7 },
    ]);
    expect(await orphans([survey.id])).toEqual([]);
  });

  test('is not restored if it belongs to a scan, if its survey is over, or if it is a copy', async () => {
    await create(false);
    expect(await orphans()).toEqual([]);
    await create();
    await writeFile(join(folder(), 'manifest.json'), '{}');
    expect(await orphans()).toEqual([]);
    await rm(join(folder(), 'manifest.json'));
    execFileSync('cp', ['-r', folder(), join(data, 'copy')]);
    expect(await orphans([survey.id])).toEqual([]);
  });

  test.each([
    ['space.bin', bytes.slice(0, -1)],
    ['rules.bin', Buffer.from('{"excluded":[]}')],
    ['survey.json', Buffer.from('{"id":"../outside"}')],
    ['survey.json', Buffer.from('no JSON')],
  ])('is not restored if %s is wrong', async (name, content) => {
    await create();
    await writeFile(join(folder(), name), content);
    expect(await orphans()).toEqual([]);
  });
});

test.each([
  [-1, 'an older'],
  [1, 'a newer'],
])(
  'a survey folder whose protocol version differs by %i is refused, and nothing is written into it',
  async (difference, which) => {
    await create();
    const file = join(folder(), 'survey.json');
    const old = {
      ...JSON.parse(await readFile(file, 'utf8')),
      protocol: survey.protocol + difference,
    };
    await writeFile(file, JSON.stringify(old));
    const before = await readdir(folder());
    const surveyFolder = new SurveyFolder(folder(), 'csv', {
      disk: systemDisk,
      term: 2,
      signingKey: new SigningKey(folder(), systemDisk),
    });
    await expect(surveyFolder.refuseIfUnusable()).rejects.toMatchObject({
      code: 'VERSION_SKEW',
      message: expect.stringContaining(`stored by ${which} version`),
    });
    const deps = {
      folder: surveyFolder,
      exclusions: new Exclusions(),
      spaces: memoryBroker().coordinator.spaces,
    };
    await expect(FinishedSurvey.read(survey, deps)).rejects.toMatchObject({ code: 'VERSION_SKEW' });
    expect(await readdir(folder())).toEqual(before);
  },
);

describe('the term of the data folder', () => {
  test('is the highest term in its file or any journal, and survives a restart', async () => {
    const terms = persistentTerms(data, systemDisk, silentLog);
    expect(await terms.highest()).toBe(0);
    await terms.record(4);
    await create();
    const journal = join(folder(), 'journal.ndjson');
    await writeFile(journal, '{"term":3}\n{"term":40}\n{"term":5}\n');
    expect(await persistentTerms(data, systemDisk, silentLog).highest()).toBe(40);
    await rm(journal);
    expect(await persistentTerms(data, systemDisk, silentLog).highest()).toBe(4);
  });

  test('is not guessed if its file is damaged', async () => {
    await writeFile(join(data, 'term'), 'many\n');
    const reading = persistentTerms(data, systemDisk, silentLog).highest();
    await expect(reading).rejects.toMatchObject({ code: 'UNREADABLE_FILE' });
  });
});

describe('the disk', () => {
  test('follows no link, and replaces nothing but regular files', async () => {
    await writeFile(join(data, 'victim'), 'theirs');
    await symlink('victim', join(data, 'link'));
    execFileSync('mkfifo', [join(data, 'pipe')]);
    for (const name of ['link', 'pipe']) {
      const file = join(data, name);
      await expect(systemDisk.append(file, 'ours\n')).rejects.toMatchObject({ code: 'UNWRITABLE' });
      await expect(systemDisk.writeWhole(file, ['ours'])).rejects.toMatchObject({
        code: 'UNWRITABLE',
      });
      await expect(systemDisk.read(file)).rejects.toMatchObject({ code: 'UNREADABLE_FILE' });
    }
    expect(await readFile(join(data, 'victim'), 'utf8')).toBe('theirs');
  });

  test('creates nested folders, and fails at once if it cannot', async () => {
    await makeFolder(join(data, 'a/b/c'));
    await mkdir(join(data, 'a/b/c/d'));
    await makeFolder(join(data, 'a/b/c/d'));
    await writeFile(join(data, 'file'), '');
    await expect(makeFolder(join(data, 'file'))).rejects.toThrow(/EEXIST/);
    await expect(makeFolder(join(data, 'file/below'))).rejects.toThrow(/ENOTDIR/);
    await expect(makeFolder('/proc/none/of/these')).rejects.toThrow(/ENOENT|EACCES|EPERM/);
  });
});
