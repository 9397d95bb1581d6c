/**
 * One open way out: a wire, the volley that is being written on it, and the addresses that probes
 * carry as theirs. All its frames are laid out here, once. On a link of our own each frame goes to the
 * neighbour it is for.
 */
import { Endpoint } from '../../shared/net/endpoint.js';
import type { Words } from '../../shared/net/ipv6.js';
import type { CookieJar } from '../../shared/probe/cookies.js';
import {
  type Family,
  Frame,
  type Probe,
  type ProbeOptions,
  type SourcePorts,
} from '../../shared/probe/probe.js';
import { Volley } from '../../shared/probe/volley.js';
import type { Neighbours, Wire } from '../ports.js';

export interface ExitParts {
  readonly wire: Wire;
  readonly family: Family;
  readonly sources: readonly Words[];
  readonly ports: SourcePorts;
  readonly probe: Probe;
  readonly options: ProbeOptions;
  /** Where targets are neighbours: who they are on the link. */
  readonly neighbours?: Neighbours | undefined;
  /** Octets of the link header, where there is one. */
  readonly linkOctets?: number;
}

export class Exit {
  readonly wire: Wire;
  readonly family: Family;
  readonly neighbours: Neighbours | undefined;
  /** Targets that leave this way, and then their probes. */
  readonly volley: Volley;
  /** Frames written and not yet taken by the kernel. */
  written = 0;
  readonly #parts: ExitParts;
  readonly #frame: Frame;
  readonly #sources: readonly Endpoint[];
  /** By row, where targets are neighbours. */
  readonly #macs: Uint8Array[] = [];
  readonly #slots: number[] = [];
  /** Rows of the last volley that was written. */
  #rows = 0;

  constructor(parts: ExitParts) {
    const { wire, family, sources, probe, options } = parts;
    this.#parts = parts;
    this.wire = wire;
    this.family = family;
    this.neighbours = parts.neighbours;
    this.volley = new Volley(wire.frames);
    this.#frame = new Frame(wire.view, family);
    this.#sources = sources.map((words) => {
      const source = new Endpoint();
      source.setWords(words);
      return source;
    });
    for (let i = 0; i < wire.frames; i++) {
      this.#frame.moveTo(wire.packetAt(i));
      probe.prepare(this.#frame, options);
    }
  }

  /** The last target that was added, of an order, is the neighbour with this address on the link. */
  addressTo(mac: Uint8Array, slot: number): void {
    this.#macs[this.volley.count - 1] = mac;
    this.#slots[this.volley.count - 1] = slot;
  }

  /**
   * Writes the volley's probes into the wire's next frames.
   * @param stamp our clock, microseconds modulo 2^32
   */
  write(cookies: CookieJar, stamp: number): void {
    const { volley, wire } = this;
    const { family, ports, probe } = this.#parts;
    cookies.choose(volley, this.#sources, ports);
    if (family === 4) cookies.bakeIpv4(volley);
    else cookies.bakeIpv6(volley, this.#sources);
    wire.locate(volley.count, volley.packetAt);
    this.#frame.stamp = stamp;
    probe.aim(this.#frame, volley, this.#sources);
    if (this.neighbours !== undefined) this.#writeMacs();
    this.written = volley.count;
    this.#rows = volley.count;
    volley.count = 0;
  }

  /** The position of the first frame that is written and not taken. */
  get firstPosition(): number {
    return this.volley.position[this.#rows - this.written] as number;
  }

  /** The order of that frame, where targets are neighbours: a volley may be of several then. */
  get firstSlot(): number | undefined {
    return this.neighbours && this.#slots[this.#rows - this.written];
  }

  /** The kernel refuses that frame for good. */
  skip(): void {
    this.wire.skip();
    this.written--;
  }

  #writeMacs(): void {
    const { volley, wire } = this;
    const frames = new Uint8Array(wire.view.buffer, wire.view.byteOffset);
    const { linkOctets = 0 } = this.#parts;
    for (let i = 0; i < volley.count; i++) {
      frames.set(this.#macs[i] as Uint8Array, (volley.packetAt[i] as number) - linkOctets);
    }
  }
}
