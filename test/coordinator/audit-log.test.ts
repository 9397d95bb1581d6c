import { describe, expect, test } from 'vitest';
import { AuditLog, readAuditLog } from '../../coordinator/evidence/audit-log.js';
import { audited } from '../../coordinator/evidence/audited-handlers.js';
import { SigningKey } from '../../coordinator/storage/signing-key.js';
import { systemClock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { ControlHandlers } from '../../shared/bus/control-api.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';

const FILE = '/data/audit.ndjson';

function logOn(disk: MemoryDisk): AuditLog {
  const signingKey = new SigningKey('/data', disk);
  return new AuditLog('/data', { disk, clock: systemClock, log: silentLog, signingKey });
}
const request = (number: number) => ({
  ...{ person: 'alice', verb: 'rate', request: { survey: 's', rate: number }, outcome: 'done' },
});
async function entriesOf(disk: MemoryDisk) {
  const entries: object[] = [];
  for await (const entry of readAuditLog(disk, FILE)) entries.push(entry);
  return entries;
}
const linesOf = (disk: MemoryDisk) => disk.files.get(FILE)!.toString().trimEnd().split('\n');
const put = (disk: MemoryDisk, lines: readonly string[]) =>
  disk.files.set(FILE, Buffer.from(`${lines.join('\n')}\n`));

describe('the audit log', () => {
  test('continues where an earlier coordinator ended', async () => {
    const disk = new MemoryDisk();
    const first = logOn(disk);
    await Promise.all([first.add(request(1)), first.add(request(2))]);
    await logOn(disk).add(request(3));
    expect(await entriesOf(disk)).toMatchObject([
      { number: 1, request: { rate: 1 } },
      { number: 2, request: { rate: 2 } },
      { number: 3, request: { rate: 3 }, person: 'alice', verb: 'rate', outcome: 'done' },
    ]);
  });

  test('continues after lines that a former coordinator has added meanwhile', async () => {
    const disk = new MemoryDisk();
    const [current, former] = [logOn(disk), logOn(disk)];
    await current.add(request(1));
    await former.add(request(2));
    await current.add(request(3));
    expect(await entriesOf(disk)).toHaveLength(3);
  });

  test('keeps what it could not write on a full disk, and writes it with the next entry', async () => {
    const disk = new MemoryDisk();
    const log = logOn(disk);
    await log.add(request(1));
    disk.isFull = true;
    await log.add(request(2));
    disk.isFull = false;
    await log.add(request(3));
    expect(await entriesOf(disk)).toHaveLength(3);
  });

  test('is rejected from the first line on that was changed, removed, moved or signed by nobody', async () => {
    const disk = new MemoryDisk();
    const log = logOn(disk);
    for (const number of [1, 2, 3]) await log.add(request(number));
    const [one = '', two = '', three = ''] = linesOf(disk);
    const other = new MemoryDisk();
    for (const number of [1, 2, 3]) await logOn(other).add(request(number * 10));
    const changes: Record<string, readonly string[]> = {
      'a person': [one, two.replace('alice', 'mallory'), three],
      'an outcome': [one, two.replace('"done"', '"BAD_OPTION"'), three],
      'a line that is gone': [one, three],
      'a first line that is gone': [two, three],
      'another order': [two, one, three],
      'a line twice': [one, one, two, three],
      'a line of another log': [one, linesOf(other)[1] ?? '', three],
      'a signature': [one, two.replace(/"signature":"./, '"signature":"_'), three],
      'a torn line': [one, two.slice(0, -9), three],
    };
    for (const [what, lines] of Object.entries(changes)) {
      put(disk, lines);
      await expect(entriesOf(disk), what).rejects.toMatchObject({ code: 'BAD_MESSAGE' });
    }
    put(disk, [one, two, '{"torn', three]);
    expect(await entriesOf(disk)).toHaveLength(3);
  });
});

describe('audited handlers', () => {
  test('enter what changes something, with its outcome, and nothing else', async () => {
    const disk = new MemoryDisk();
    const fault = new Fault('UNKNOWN_SURVEY', 'there is no such survey');
    const handlers = {
      pause: async () => ({ survey: 'abcd' }),
      cancel: async () => await Promise.reject(fault),
      status: async () => ({ statuses: [] }),
    } as unknown as ControlHandlers;
    const { pause, cancel, status } = audited(handlers, logOn(disk));
    expect(await pause({ survey: 'ab' }, 'alice')).toEqual({ survey: 'abcd' });
    await expect(cancel({ survey: 'x', immediately: true }, 'bob')).rejects.toBe(fault);
    await status({ survey: '' }, 'alice');
    expect(await entriesOf(disk)).toMatchObject([
      { person: 'alice', verb: 'pause', request: { survey: 'abcd' }, outcome: 'done' },
      { person: 'bob', verb: 'cancel', request: { immediately: true }, outcome: 'UNKNOWN_SURVEY' },
    ]);
  });
});
