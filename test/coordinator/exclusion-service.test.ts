import { describe, expect, test } from 'vitest';
import { ExclusionService } from '../../coordinator/exclusion-service.js';
import { systemClock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';

describe('the exclusion service', () => {
  test('logs each entry once, whether it was entered here or received', async () => {
    const bus = memoryBroker().coordinator;
    const disk = new MemoryDisk();
    const control = new ExclusionService('/data', {
      bus,
      clock: systemClock,
      disk,
      log: silentLog,
    });
    await control.restore();
    const stop = stopController();
    const following = (async () => {
      for await (const version of control.follow(stop.signal)) if (version >= 3) stop.abort();
    })();
    await Promise.all([
      control.add('198.18.0.0/24', 'one', 'noc'),
      bus.exclusions.add({
        version: 2,
        prefix: '198.18.1.0/24',
        reason: 'two',
        by: '',
        at: 1,
        lifts: 0,
      }),
      control.add('2001:db8::/48', 'three', 'noc'),
    ]);
    stop.abort();
    await following;
    const lines = disk.files.get('/data/exclusions.ndjson')?.toString().trim().split('\n') ?? [];
    expect(lines.map((line) => JSON.parse(line).version)).toEqual([1, 2, 3]);
  });

  test('uses its log to restore exclusions that the broker has lost', async () => {
    const disk = new MemoryDisk();
    const deps = { clock: systemClock, disk, log: silentLog };
    const first = new ExclusionService('/data', { bus: memoryBroker().coordinator, ...deps });
    await first.restore();
    await first.add('198.18.0.0/24', 'one', 'noc');
    const bus = memoryBroker().coordinator;
    const second = new ExclusionService('/data', { bus, ...deps });
    await second.restore();
    expect(await bus.exclusions.list()).toMatchObject([{ version: 1, prefix: '198.18.0.0/24' }]);
    expect(second.list.version).toBe(1);
  });

  test('restores an exclusion that somebody has replaced on the broker, while it runs and when it starts', async () => {
    const disk = new MemoryDisk();
    const errors: string[] = [];
    const log = { ...silentLog, error: (_details: object, text: string) => void errors.push(text) };
    const bus = memoryBroker().coordinator;
    const deps = { bus, clock: systemClock, disk, log };
    const first = new ExclusionService('/data', deps);
    await first.restore();
    await first.add('198.18.0.0/24', 'one', 'noc');
    const known = first.list.entries[0]!;
    const forged = { ...known, prefix: '192.0.2.1/32' };

    const stop = stopController();
    const following = (async () => {
      for await (const version of first.follow(stop.signal)) if (version === 2) stop.abort();
    })();
    await bus.exclusions.replace(forged);
    await bus.exclusions.add({ ...known, version: 2, prefix: '198.18.2.0/24' });
    await following;
    expect(await bus.exclusions.list()).toMatchObject([known, { prefix: '198.18.2.0/24' }]);
    expect(errors).toHaveLength(1);

    await bus.exclusions.replace(forged);
    const second = new ExclusionService('/data', deps);
    await second.restore();
    expect(second.list.entries[0]).toEqual(known);
    expect((await bus.exclusions.list())[0]).toEqual(known);
    expect(errors).toHaveLength(2);
    expect(second.list.headAt(2)).toBe(first.list.headAt(2));
  });

  test('refuses to start with a log in which any line was changed, removed or moved', async () => {
    const disk = new MemoryDisk();
    const deps = { bus: memoryBroker().coordinator, clock: systemClock, disk, log: silentLog };
    const service = new ExclusionService('/data', deps);
    await service.restore();
    for (const number of [1, 2, 3]) await service.add(`198.18.${number}.0/24`, 'mail', 'noc');
    const file = '/data/exclusions.ndjson';
    const lines = disk.files.get(file)!.toString().trimEnd().split('\n');
    const [one = '', two = '', three = ''] = lines;
    const changed = [
      [one, two.replace('198.18.2.0', '198.18.9.0'), three],
      [one, two.replace('mail', 'male'), three],
      [one, three],
      [two, one, three],
      [one, two, three.replace(/"head":"./, '"head":"g')],
    ];
    for (const content of changed) {
      disk.files.set(file, Buffer.from(`${content.join('\n')}\n`));
      const again = new ExclusionService('/data', deps);
      await expect(again.restore()).rejects.toMatchObject({ code: 'BAD_MESSAGE' });
    }
    disk.files.set(file, Buffer.from(`${[one, two, '{"torn', three].join('\n')}\n`));
    const torn = new ExclusionService('/data', deps);
    await torn.restore();
    expect(torn.list.version).toBe(3);
  });
});
