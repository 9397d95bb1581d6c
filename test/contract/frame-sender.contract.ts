/** The contract of every frame sender, on a real link: frames are sent on `left` and captured on `right`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRingSource } from '../../agent/capture/ring-source.js';
import type { FrameSender, FrameSource } from '../../agent/interfaces.js';
import type { FrameSenderSetup } from '../../agent/transmit/link-header.js';
import { Endpoint, type Flow, Target, type Words } from '../../shared/net/endpoint.js';
import { mappedWords, parseWords } from '../../shared/net/ipv6.js';
import { Dissection, REJECT } from '../../shared/packet/dissect.js';
import { CookieMac } from '../../shared/probe/cookies.js';
import type { Family, PacketMaker } from '../../shared/probe/probe.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import { parseOptions } from '../../shared/probe/probe-options.js';
import { tcpSyn } from '../../shared/probe/tcp/tcp-syn.js';
import { ip } from '../support/own-network.js';
import { KEY } from '../support/replies.js';

export interface FrameSenderCase {
  readonly family: Family;
  readonly vlan?: number;
  /** True if the sender refuses frames while the other end is down; senders that use a kernel queue or libpcap accept
   * them. */
  readonly noticesTheOtherEnd: boolean;
  /** Sets the link up again, and restores the routes that raw-ip needs and that were lost with the link. */
  replug(): void;
}

const OUR_PORT = 61000;
const SOURCES: Record<Family, Words> = {
  4: mappedWords(0x64400001),
  6: parseWords('2001:db8::1'),
};
const OPTIONS = parseOptions(tcpSyn, { layout: 'linux' });
const PORTS = { from: OUR_PORT, to: OUR_PORT + 1 };
const QUIET_MILLIS = 150;
const DEADLINE_MILLIS = 10_000;

/** Port n mod 65,536 of address number ⌊n / 65,536⌋, so that n can be read from the frame. */
function targetOf(family: Family, n: number): Target {
  const target = new Target();
  target.setWords(family === 4 ? mappedWords(0xc6120000) : parseWords('2001:db8:42::'));
  target.w3 += Math.floor(n / 65536) + 1;
  target.port = n % 65536;
  return target;
}

/** Writes probes to numbered targets into a sender's next frames. */
class Writer {
  readonly #frameSender: FrameSender;
  readonly #family: Family;
  readonly #packets: PacketMaker;
  readonly #batch: ProbeBatch;
  readonly #cookies = new CookieMac(KEY);
  readonly #source = new Endpoint();

  constructor(frameSender: FrameSender, family: Family) {
    this.#frameSender = frameSender;
    this.#family = family;
    this.#packets = tcpSyn.packets(frameSender.view, family, {
      options: OPTIONS,
      ports: PORTS,
      targetPorts: [],
    });
    this.#batch = new ProbeBatch(frameSender.frames);
    this.#source.setWords(SOURCES[family]);
    for (let i = 0; i < frameSender.frames; i++) {
      this.#packets.layOut(frameSender.packetAt(i));
    }
  }

  /** Writes probes to `count` targets; the first one has the number `from`. */
  write(from: number, count: number): void {
    const batch = this.#batch;
    batch.count = 0;
    for (let i = 0; i < count; i++) batch.add(targetOf(this.#family, from + i));
    this.#cookies.choose(batch, [this.#source], PORTS);
    if (this.#family === 4) this.#cookies.computeIpv4(batch);
    else this.#cookies.computeIpv6(batch, [this.#source], false);
    this.#frameSender.locate(count, batch.packetAt);
    this.#packets.make(batch, [this.#source], 0);
  }
}

/** Records the numbers of captured frames, in order; −1 for a frame with wrong octets. */
class Listener {
  readonly received: number[] = [];
  readonly #source: FrameSource;

  constructor(family: Family, octets: number, vlan: number | undefined) {
    this.#source = openRingSource({ device: 'right', filter: 'tcp', vlan });
    const frame = new Dissection(this.#source.view);
    const cookies = new CookieMac(KEY);
    this.#source.start((start, end) => {
      if (frame.dissect(this.#source.link, start, end) !== REJECT.OK) return;
      // The frame is a probe, but is dissected as a reply: source and target are exchanged in its flow.
      const { source: target, target: source } = frame.flow;
      const n = (target.w3 - targetOf(family, 0).w3) * 65536 + target.port;
      cookies.compute({ source, target } as unknown as Flow);
      const isWhole = frame.tcp.sequence === cookies.sequence && end - start === octets;
      this.received.push(isWhole ? n : -1);
    });
  }

  /** Waits until this many frames were captured, and then a moment longer for any excess ones. */
  async settled(count: number): Promise<readonly number[]> {
    const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));
    const deadline = performance.now() + DEADLINE_MILLIS;
    while (this.received.length < count && performance.now() < deadline) await pause(10);
    await pause(QUIET_MILLIS);
    return this.received;
  }

  close(): void {
    this.#source.close();
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

export function frameSenderContract(
  name: string,
  open: (setup: Pick<FrameSenderSetup, 'family' | 'octets'>) => FrameSender,
  { family, vlan, noticesTheOtherEnd, replug }: FrameSenderCase,
): void {
  describe(name, () => {
    const octets = tcpSyn.octets(family, OPTIONS);
    let frameSender: FrameSender;
    let writer: Writer;
    let listener: Listener;
    let next = 0;
    /** Sends the written frames until the kernel has accepted all of them. */
    const push = (count: number) => {
      const deadline = performance.now() + DEADLINE_MILLIS;
      for (let left = count; left > 0; ) {
        left -= frameSender.send(left);
        if (performance.now() > deadline) throw new Error(`${left} frames are not taken`);
      }
    };
    /** Sends this many frames, in batches of at most `runs()`, until the kernel has accepted all of them. */
    const sendAll = (count: number, runs: () => number) => {
      for (const end = next + count; next < end; ) {
        const run = Math.min(frameSender.room(), runs(), end - next);
        writer.write(next, run);
        push(run);
        next += run;
      }
    };
    beforeAll(() => {
      frameSender = open({ family, octets });
      writer = new Writer(frameSender, family);
      listener = new Listener(family, octets, vlan);
    });
    afterAll(() => {
      listener.close();
      frameSender.close();
    });
    const expectHeard = async (expected: readonly number[]) => {
      const received = await listener.settled(expected.length);
      expect(received.toSorted((a, b) => a - b)).toEqual(expected);
      listener.received.length = 0;
    };

    test('delivers every accepted frame to the other end, once and whole', async () => {
      const from = next;
      let run = 0;
      sendAll(5000, () => 1 + (run++ % 300));
      await expectHeard(numbers(from, next));
    });

    test('accepts no frame and gives the reason while the link is down, and accepts every frame afterwards', async () => {
      const from = next;
      const count = Math.min(40, frameSender.room());
      writer.write(from, count);
      ip('link', 'set', 'left', 'down');
      for (let i = 0; i < 5; i++) {
        expect(frameSender.send(count)).toBe(0);
        expect(frameSender.errno).toBeGreaterThan(0);
      }
      replug();
      push(count);
      next += count;
      sendAll(1000, () => 64);
      await expectHeard(numbers(from, next));
    });

    // Senders whose frames are queued by the kernel or passed on by libpcap are not tested: they accept frames while
    // the other end is down, and `link-monitor.ts` detects the outage.
    if (noticesTheOtherEnd) {
      test('loses nothing while the other end is down', async () => {
        const from = next;
        const count = Math.min(40, frameSender.room());
        writer.write(from, count);
        ip('link', 'set', 'right', 'down');
        let left = count;
        for (let i = 0; i < 5; i++) left -= frameSender.send(left);
        expect(left).toBe(count);
        replug();
        // A capture ends when its interface goes down.
        listener.close();
        listener = new Listener(family, octets, vlan);
        push(left);
        next += count;
        sendAll(1000, () => 64);
        await expectHeard(numbers(from, next));
      });
    }

    test('sends every frame except the skipped one', async () => {
      const from = next;
      writer.write(from, 20);
      ip('link', 'set', 'left', 'down');
      expect(frameSender.send(20)).toBe(0);
      frameSender.dropFirst();
      replug();
      push(19);
      next += 20;
      sendAll(500, () => 50);
      await expectHeard([...numbers(from + 1, next)]);
    });

    test('never sends a discarded frame', async () => {
      writer.write(next, 30);
      ip('link', 'set', 'left', 'down');
      expect(frameSender.send(30)).toBe(0);
      frameSender.discard();
      replug();
      next += 30;
      const from = next;
      sendAll(3000, () => 77);
      await expectHeard(numbers(from, next));
    });
  });
}
