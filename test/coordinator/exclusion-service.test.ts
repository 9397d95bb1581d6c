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
});
