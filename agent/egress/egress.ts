/**
 * One open egress of one probe: a frame sender, the batch of probes being written, and the source addresses.
 * All frames are laid out here, once. If targets are neighbours on the link, each frame gets its own destination
 * MAC address.
 */
import { assert } from '../../shared/base/assert.js';
import { Endpoint, type Words } from '../../shared/net/endpoint.js';
import type { Prefix6 } from '../../shared/net/ipv6.js';
import type { PortRange } from '../../shared/net/ports.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import type { Family, PacketMaker, PacketProbe } from '../../shared/probe/probe.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import type { SurveyProbe } from '../../shared/probe/probe-set.js';
import type { FrameSender, Neighbours } from '../interfaces.js';

export interface EgressDeps {
  readonly frameSender: FrameSender;
  readonly family: Family;
  readonly sources: readonly Words[];
  /** The source window, of IPv6. */
  readonly window?: Prefix6 | undefined;
  readonly ports: PortRange;
  readonly probe: SurveyProbe<PacketProbe>;
  /** Resolves targets that are neighbours on the link. */
  readonly neighbours?: Neighbours | undefined;
  /** Octets of the link header; 0 without one. */
  readonly linkHeaderOctets?: number;
}

export class Egress {
  readonly frameSender: FrameSender;
  readonly family: Family;
  readonly neighbours: Neighbours | undefined;
  /** The current batch: targets are added to it, and `write` makes their probes. */
  readonly batch: ProbeBatch;
  /** Frames written and not yet accepted by the kernel. */
  pending = 0;
  readonly #deps: EgressDeps;
  #cookies: CookieMac | undefined;
  readonly #packets: PacketMaker;
  /**
   * Our ports, one of which is chosen for each target. For a probe whose source port is not chosen, this is
   * port 0 only.
   */
  readonly #ports: PortRange;
  readonly #sources: readonly Endpoint[];
  /** Destination MAC addresses by row, if targets are neighbours. */
  readonly #macs: Uint8Array[] = [];
  readonly #slots: number[] = [];
  /** Rows of the batch that was written last. */
  #rows = 0;

  constructor(deps: EgressDeps) {
    const { frameSender, family, sources, ports } = deps;
    const { probe, options } = deps.probe;
    this.#deps = deps;
    this.frameSender = frameSender;
    this.family = family;
    this.neighbours = deps.neighbours;
    this.batch = new ProbeBatch(frameSender.frames);
    this.#packets = probe.packets(frameSender.view, family, { options, ports, targetPorts: [] });
    this.#ports = probe.choosesSourcePort ? ports : { from: 0, to: 1 };
    this.#sources = sources.map((words) => {
      const source = new Endpoint();
      source.setWords(words);
      return source;
    });
    for (let i = 0; i < frameSender.frames; i++) {
      this.#packets.layOut(frameSender.packetAt(i));
    }
  }

  /** Makes the probes of the next batches with the key of a lease. */
  useKey(key: Uint8Array): void {
    this.#cookies = new CookieMac(probeKey(key, this.#deps.probe.index));
  }

  /** Sets MAC address and job of the target that was added last. */
  addressTo(mac: Uint8Array, slot: number): void {
    this.#macs[this.batch.count - 1] = mac;
    this.#slots[this.batch.count - 1] = slot;
  }

  /**
   * Writes the probes of the batch into the next frames, with the key that was set last.
   * @param stamp our clock, microseconds modulo 2^32
   */
  write(stamp: number): void {
    const { batch, frameSender, family } = this;
    const cookies = this.#cookies;
    assert(cookies !== undefined, 'probes are written before a key is set');
    cookies.choose(batch, this.#sources, this.#ports);
    const { window } = this.#deps;
    if (window !== undefined) cookies.chooseHosts(batch, window);
    if (family === 4) cookies.computeIpv4(batch);
    else cookies.computeIpv6(batch, this.#sources, window !== undefined);
    frameSender.locate(batch.count, batch.packetAt);
    this.#packets.make(batch, this.#sources, stamp);
    if (this.neighbours !== undefined) this.#writeMacs();
    this.pending = batch.count;
    this.#rows = batch.count;
    batch.count = 0;
  }

  /** The position of the first pending frame. */
  get firstPosition(): number {
    return this.batch.position[this.#rows - this.pending] as number;
  }

  /** The job of the first pending frame, if targets are neighbours (a batch may then contain several jobs). */
  get firstSlot(): number | undefined {
    return this.neighbours && this.#slots[this.#rows - this.pending];
  }

  /** The job of a pending frame, if targets are neighbours. */
  slotOfPending(index: number): number {
    return this.#slots[this.#rows - this.pending + index] as number;
  }

  /** Drops the first pending frame, because the kernel refuses it permanently. */
  dropFirst(): void {
    this.frameSender.dropFirst();
    this.pending--;
  }

  #writeMacs(): void {
    const { batch, frameSender } = this;
    const frames = new Uint8Array(frameSender.view.buffer, frameSender.view.byteOffset);
    const { linkHeaderOctets = 0 } = this.#deps;
    for (let i = 0; i < batch.count; i++) {
      frames.set(this.#macs[i] as Uint8Array, (batch.packetAt[i] as number) - linkHeaderOctets);
    }
  }
}
