import { describe, expect, test } from 'vitest';
import { Captures } from '../../agent/capture/captures.js';
import type { FrameSource, Receive, SourceSetup } from '../../agent/interfaces.js';
import { Fault } from '../../shared/base/faults.js';

/** A frame source that delivers a frame when the test calls `deliver`. */
class HandSource implements FrameSource {
  readonly link = 'ip';
  readonly view = new DataView(new ArrayBuffer(2048));
  readonly readUntil = 0;
  isAlive = true;
  isClosed = false;
  filter: string;
  totals = { framesReceived: 0, framesDropped: 0, interfaceDropped: 0 };
  #receive: Receive = () => {};

  constructor(setup: SourceSetup) {
    this.filter = setup.filter;
  }
  setFilter(filter: string) {
    if (filter.includes('nonsense')) throw new Fault('SYSTEM_CALL', 'no such filter');
    this.filter = filter;
  }
  start(receive: Receive) {
    this.#receive = receive;
  }
  close() {
    this.isClosed = true;
  }
  /** Delivers a TCP reset from 198.18.0.1 to 100.64.0.1. */
  deliver() {
    const packet = Buffer.from(
      '450000280000400040060000c6120001644000010050f0000000000000000000501400000000'.padEnd(
        80,
        '0',
      ),
      'hex',
    );
    new Uint8Array(this.view.buffer).set(packet);
    this.totals = { ...this.totals, framesReceived: this.totals.framesReceived + 1 };
    this.#receive(0, packet.length, 1);
  }
}

function opening() {
  const opened: HandSource[] = [];
  const captures = new Captures((setup) => {
    const source = new HandSource(setup);
    opened.push(source);
    return source;
  });
  return { captures, opened };
}

describe('captures', () => {
  test('share one source per interface, and close it when the last survey closes its capture', () => {
    const { captures, opened } = opening();
    const first = captures.open({ device: 'eth0', filter: 'tcp' });
    const second = captures.open({ device: 'eth0', filter: 'udp' });
    const other = captures.open({ device: 'eth1', filter: 'tcp' });
    expect(opened).toHaveLength(2);
    expect(opened[0]?.filter).toBe('(tcp) or (udp)');
    first.close();
    first.close();
    expect([opened[0]?.filter, opened[0]?.isClosed]).toEqual(['(udp)', false]);
    second.close();
    other.close();
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, true]);
    captures.open({ device: 'eth0', filter: 'tcp' });
    expect(opened).toHaveLength(3);
  });

  test('offer each frame to the surveys in turn, until one recognises it', () => {
    const { captures, opened } = opening();
    const [first, second] = ['tcp', 'udp'].map((filter) =>
      captures.open({ device: 'eth0', filter }),
    );
    const seen: string[] = [];
    const listen = (name: string, isRecognised: boolean) => ({
      receive: () => {
        seen.push(name);
        return isRecognised;
      },
      receiveFromElsewhere: () => {
        seen.push(`${name}, other port`);
        return false;
      },
    });
    first?.start(listen('first', false));
    second?.start(listen('second', true));
    opened[0]?.deliver();
    expect(seen).toEqual(['first', 'second']);
    second?.close();
    opened[0]?.deliver();
    expect(seen).toEqual(['first', 'second', 'first', 'first, other port']);
    expect(first?.rejects['foreign']).toBe(1);
  });

  test('count for each survey only frames that arrived while it was open', () => {
    const { captures, opened } = opening();
    const first = captures.open({ device: 'eth0', filter: 'tcp' });
    opened[0]?.deliver();
    const second = captures.open({ device: 'eth0', filter: 'tcp' });
    opened[0]?.deliver();
    second.close();
    opened[0]?.deliver();
    expect([first.totals.framesReceived, second.totals.framesReceived]).toEqual([3, 1]);
  });

  test('open a new source if the old one has failed', () => {
    const { captures, opened } = opening();
    const first = captures.open({ device: 'eth0', filter: 'tcp' });
    (opened[0] as HandSource).isAlive = false;
    expect(first.isAlive).toBe(false);
    const second = captures.open({ device: 'eth0', filter: 'tcp' });
    expect([opened.length, second.isAlive]).toEqual([2, true]);
    first.close();
    expect(second.isAlive).toBe(true);
    captures.open({ device: 'eth0', filter: 'udp' });
    expect(opened).toHaveLength(2);
  });

  test('leave nothing open if a filter cannot be compiled', () => {
    const { captures, opened } = opening();
    expect(() => captures.open({ device: 'eth0', filter: 'nonsense' })).toThrow('no such filter');
    expect(opened[0]?.isClosed).toBe(true);
    const first = captures.open({ device: 'eth0', filter: 'tcp' });
    expect(() => captures.open({ device: 'eth0', filter: 'nonsense' })).toThrow('no such filter');
    expect([opened[1]?.isClosed, first.isAlive]).toEqual([false, true]);
  });
});
