/**
 * The contract of every frame source: it delivers frames that pass its filter, and leaves no resources
 * behind.
 */
import { createSocket } from 'node:dgram';
import { beforeAll, describe, expect, test } from 'vitest';
import { openPcapSource } from '../../agent/capture/pcap-source.js';
import { openRingSource } from '../../agent/capture/ring-source.js';
import { LIMITS } from '../../shared/base/limits.js';
import { Dissection } from '../../shared/packet/dissect.js';
import { holdingsOf } from '../support/holdings.js';
import { enterOwnNetwork, ip, networkIsMissing } from '../support/own-network.js';

const SOURCES = [
  ['the ring', openRingSource],
  ['the pcap package', openPcapSource],
] as const;
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

/** Sends a datagram to a port without a listener. */
async function speak(port: number): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.send('x', port, '127.0.0.1', () => resolve()));
  socket.close();
}

async function until(isReached: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !isReached(); i++) await pause(10);
}

describe.skipIf(networkIsMissing())('a source of frames', () => {
  beforeAll(() => {
    enterOwnNetwork();
    ip('link', 'add', 'quiet0', 'type', 'veth', 'peer', 'name', 'quiet1');
    for (const name of ['quiet0', 'quiet1']) ip('link', 'set', name, 'up');
  });

  test.each(SOURCES)(
    '(%s) delivers frames that pass its filter, also after the filter is replaced',
    async (_, open) => {
      const source = open({ device: 'lo', filter: 'udp dst port 7001' });
      const received: number[] = [];
      const dissection = new Dissection(source.view);
      source.start((start, end, timestamp) => {
        expect(Math.abs(timestamp / 1000 - Date.now())).toBeLessThan(5000);
        expect(end - start).toBeGreaterThan(20);
        dissection.dissect(source.link, start, end);
        received.push(
          new DataView(source.view.buffer, source.view.byteOffset + end - 7, 2).getUint16(0),
        );
      });
      await speak(7001);
      await speak(7002);
      await until(() => received.length > 0);
      expect(received.length).toBeGreaterThan(0);
      const before = received.length;
      source.setFilter('udp dst port 7002 or udp dst port 7003');
      await speak(7002);
      await until(() => received.length > before);
      expect(received.length).toBeGreaterThan(before);
      expect(source.totals.framesReceived).toBeGreaterThan(0);
      source.close();
      const after = received.length;
      await speak(7002);
      await pause(100);
      expect([received.length, source.isAlive]).toEqual([after, false]);
    },
  );

  test('the ring keeps all frames while nobody reads for most of a second, even if few arrive', async () => {
    const { usual } = LIMITS.captureOctets;
    const filter = 'udp dst port 7004';
    const source = openRingSource({ device: 'lo', filter, bufferOctets: usual });
    const socket = createSocket('udp4');
    const count = 120;
    for (let i = 0; i < count; i++) {
      socket.send('x', 7004, '127.0.0.1');
      await pause(6);
    }
    let received = 0;
    source.start(() => {
      received++;
    });
    await until(() => received >= count);
    expect([received, source.totals.framesDropped]).toEqual([count, 0]);
    socket.close();
    source.close();
  });

  test.each(SOURCES)(
    '(%s) leaves nothing behind, on quiet interfaces and on busy ones',
    async (_, open) => {
      const cycle = async (device: string) => {
        const source = open({ device, filter: 'udp dst port 7010' });
        source.start(() => {});
        await speak(7010);
        source.close();
        await speak(7010); // a frame that arrives at closing time
      };
      for (const device of ['lo', 'quiet0']) await cycle(device);
      await pause(100);
      const before = holdingsOf(process.pid);
      for (let i = 0; i < 40; i++) await cycle(i % 2 === 0 ? 'lo' : 'quiet0');
      (globalThis as { gc?: () => void }).gc?.();
      await pause(200);
      const after = holdingsOf(process.pid);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 1);
      expect(after.threads).toBeLessThanOrEqual(before.threads + 1);
      expect(after.memory - before.memory).toBeLessThan(64 * 2 ** 20); // the size of one ring
    },
    30_000,
  );

  test.each(SOURCES)('(%s) reports a wrong filter, and a missing interface', (_, open) => {
    expect(() => open({ device: 'lo', filter: 'no such thing' })).toThrow(/syntax|filter/i);
    expect(() => open({ device: 'none0', filter: 'tcp' })).toThrow(/no such interface/);
    const { descriptors } = holdingsOf(process.pid);
    for (let i = 0; i < 10; i++)
      expect(() => open({ device: 'lo', filter: 'no such thing' })).toThrow();
    expect(holdingsOf(process.pid).descriptors).toBeLessThanOrEqual(descriptors);
  });
});
