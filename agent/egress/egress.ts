/**
 * One open way out: a wire, the volley that is being written on it, and the addresses that probes
 * carry as theirs. All its frames are laid out here, once. On a link of our own each frame goes to the
 * neighbour it is for.
 */
import { Endpoint, type Words } from '../../shared/net/endpoint.js';
import type { PortRange } from '../../shared/net/ports.js';
import type { CookieMac } from '../../shared/probe/cookies.js';
import { type Family, Frame, type Probe, type ProbeOptions } from '../../shared/probe/probe.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import type { FrameSender, Neighbours } from '../interfaces.js';

export interface EgressDeps {
  readonly frameSender: FrameSender;
  readonly family: Family;
  readonly sources: readonly Words[];
  readonly ports: PortRange;
  readonly probe: Probe;
  readonly options: ProbeOptions;
  /** Where targets are neighbours: who they are on the link. */
  readonly neighbours?: Neighbours | undefined;
  /** Octets of the link header, where there is one. */
  readonly linkHeaderOctets?: number;
}

export class Egress {
  readonly frameSender: FrameSender;
  readonly family: Family;
  readonly neighbours: Neighbours | undefined;
  /** Targets that leave this way, and then their probes. */
  readonly batch: ProbeBatch;
  /** Frames written and not yet taken by the kernel. */
  pending = 0;
  readonly #deps: EgressDeps;
  readonly #frame: Frame;
  readonly #sources: readonly Endpoint[];
  /** By row, where targets are neighbours. */
  readonly #macs: Uint8Array[] = [];
  readonly #slots: number[] = [];
  /** Rows of the last volley that was written. */
  #rows = 0;

  constructor(deps: EgressDeps) {
    const { frameSender, family, sources, probe, options } = deps;
    this.#deps = deps;
    this.frameSender = frameSender;
    this.family = family;
    this.neighbours = deps.neighbours;
    this.batch = new ProbeBatch(frameSender.frames);
    this.#frame = new Frame(frameSender.view, family);
    this.#sources = sources.map((words) => {
      const source = new Endpoint();
      source.setWords(words);
      return source;
    });
    for (let i = 0; i < frameSender.frames; i++) {
      this.#frame.moveTo(frameSender.packetAt(i));
      probe.prepare(this.#frame, options);
    }
  }

  /** The last target that was added, of an order, is the neighbour with this address on the link. */
  addressTo(mac: Uint8Array, slot: number): void {
    this.#macs[this.batch.count - 1] = mac;
    this.#slots[this.batch.count - 1] = slot;
  }

  /**
   * Writes the volley's probes into the wire's next frames.
   * @param stamp our clock, microseconds modulo 2^32
   */
  write(cookies: CookieMac, stamp: number): void {
    const { batch, frameSender } = this;
    const { family, ports, probe } = this.#deps;
    cookies.choose(batch, this.#sources, ports);
    if (family === 4) cookies.computeIpv4(batch);
    else cookies.computeIpv6(batch, this.#sources);
    frameSender.locate(batch.count, batch.packetAt);
    this.#frame.stamp = stamp;
    probe.make(this.#frame, batch, this.#sources);
    if (this.neighbours !== undefined) this.#writeMacs();
    this.pending = batch.count;
    this.#rows = batch.count;
    batch.count = 0;
  }

  /** The position of the first frame that is written and not taken. */
  get firstPosition(): number {
    return this.batch.position[this.#rows - this.pending] as number;
  }

  /** The order of that frame, where targets are neighbours: a volley may be of several then. */
  get firstSlot(): number | undefined {
    return this.neighbours && this.#slots[this.#rows - this.pending];
  }

  /** The kernel refuses that frame for good. */
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
