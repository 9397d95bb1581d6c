/** A survey's files as evidence: `verify` reports every octet that was changed, and every file that was replaced. */

import { describe, expect, test } from 'vitest';
import { verify } from '../../coordinator/evidence/verification.js';
import type { Pps } from '../../shared/base/brand.js';
import type { MemoryDisk } from '../support/memory-disk.js';
import { World } from './world.js';

const LIMIT_MILLIS = 3_600_000;
/** Octets changed in each file, evenly spread over it. */
const OCTETS_CHANGED = 24;

async function ranSurvey() {
  const world = new World(31);
  world.startCoordinator();
  world.join();
  const launching = world.launch({ addresses: 600, rate: 2000 as Pps });
  const launched = await world.clock.runUntil(launching, LIMIT_MILLIS);
  await world.clock.runUntil(world.ended(launched.id), LIMIT_MILLIS);
  const folder = `/data/${launched.id}`;
  const files = [...world.disk.files.keys()].filter((file) => file.startsWith(`${folder}/`));
  const plan = await world.planOf(launched);
  const { agentKeys } = world;
  const check = async (disk: MemoryDisk) =>
    await verify({ survey: launched, plan, folder, disk, agentKeys });
  world.close();
  return { files, folder, disk: world.disk, check, agentKeys };
}

/** The violations while one file has another content. */
async function violationsWith(
  { disk, check }: Pick<Awaited<ReturnType<typeof ranSurvey>>, 'disk' | 'check'>,
  file: string,
  change: (content: Buffer) => Buffer,
): Promise<readonly string[]> {
  const before = disk.files.get(file)!;
  disk.files.set(file, change(Buffer.from(before)));
  try {
    return (await check(disk)).examples;
  } catch (error) {
    return [`${file}: ${String(error)}`]; // a file that cannot be read is reported, too
  } finally {
    disk.files.set(file, before);
  }
}

describe('the evidence of a survey that is over', () => {
  test('names its signer, and no violation while nothing is changed', async () => {
    const { disk, check } = await ranSurvey();
    const verification = await check(disk);
    expect(verification).toMatchObject({ violations: 0, examples: [] });
    expect(verification.signedBy).toMatch(/^SHA256:[\w+/]{43}$/);
  });

  test('has the signature of its agent for each report, which fits no other number', async () => {
    const survey = await ranSurvey();
    const { disk, folder, check, agentKeys } = survey;
    const { signedReports } = await check(disk);
    expect(signedReports?.reports).toBeGreaterThan(3);
    expect(signedReports).toMatchObject({ signed: signedReports?.reports, unsigned: 0 });
    const file = `${folder}/journal.ndjson`;
    const names = ['epoch', 'sentUpTo', 'settledUpTo', 'probesSent', 'batches', 'synack', 'rst'];
    for (const name of names) {
      const found = await violationsWith(survey, file, (content) => {
        const text = content.toString();
        const raised = text.replace(new RegExp(`"${name}":(\\d+)`), (_all, digits) => {
          return `"${name}":${Number(digits) + 1}`;
        });
        expect(raised, name).not.toBe(text);
        return Buffer.from(raised);
      });
      expect(found.join('; '), name).toContain('is not what agent-1 has signed');
    }
    agentKeys.set('agent-1', 'U'.repeat(56));
    expect((await check(disk)).signedReports).toMatchObject({ signed: 0, unsigned: 0 });
  });

  test('names a file in which any octet is changed, added or removed', async () => {
    const survey = await ranSurvey();
    expect(survey.files.map((file) => file.slice(survey.folder.length + 1))).toEqual(
      expect.arrayContaining(['survey.json', 'space.bin', 'journal.ndjson', 'manifest.json']),
    );
    expect(survey.files.some((file) => file.includes('/segments/'))).toBe(true);
    const unnoticed: string[] = [];
    const look = async (file: string, what: string, change: (content: Buffer) => Buffer) => {
      const found = await violationsWith(survey, file, change);
      if (!found.some((text) => text.includes(file) || text.includes('manifest')))
        unnoticed.push(`${file}: ${what}`);
    };
    for (const file of survey.files) {
      const { length } = survey.disk.files.get(file)!;
      const step = Math.max(1, Math.floor(length / OCTETS_CHANGED));
      for (let at = 0; at < length; at += step) {
        await look(file, `octet ${at} changed`, (content) => {
          content[at] = content[at]! ^ 1;
          return content;
        });
      }
      await look(file, 'an octet added', (content) => Buffer.concat([content, Buffer.from('\n')]));
      await look(file, 'the last octet removed', (content) => content.subarray(0, -1));
      await look(file, 'emptied', () => Buffer.alloc(0));
    }
    expect(unnoticed).toEqual([]);
  });

  test('names the manifest if all digests were computed again by somebody without the key', async () => {
    const { disk, folder, check } = await ranSurvey();
    const file = `${folder}/manifest.json`;
    const change = (content: Buffer) => Buffer.from(content.toString().replace('"done"', '"gone"'));
    const found = await violationsWith({ disk, check }, file, change);
    expect(found).toEqual([`${file}: its signature does not fit`]);
  });
});
