/**
 * One open way out: a wire, the volley that is being written on it, and the addresses that probes
 * carry as theirs. All its frames are laid out here, once.
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
import type { Wire } from '../ports.js';
import type { Guard } from './guard.js';

export interface ExitParts {
  readonly wire: Wire;
  readonly family: Family;
  readonly sources: readonly Words[];
  readonly ports: SourcePorts;
  readonly probe: Probe;
  readonly options: ProbeOptions;
}

export class Exit {
  readonly wire: Wire;
  /** Targets that leave this way, and then their probes. */
  readonly volley: Volley;
  /** Frames written and not yet taken by the kernel. */
  written = 0;
  readonly #parts: ExitParts;
  readonly #frame: Frame;
  readonly #sources: readonly Endpoint[];

  constructor(parts: ExitParts) {
    const { wire, family, sources, probe, options } = parts;
    this.#parts = parts;
    this.wire = wire;
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

  /**
   * Writes the volley's probes into the wire's next frames, less those the guard holds back.
   * @param stamp our clock, microseconds modulo 2^32
   * @returns how many were held back
   */
  write(guard: Guard, cookies: CookieJar, stamp: number): number {
    const { volley, wire } = this;
    const { family, ports, probe } = this.#parts;
    const refused = guard.sift(volley, family);
    cookies.choose(volley, this.#sources, ports);
    if (family === 4) cookies.bakeIpv4(volley);
    else cookies.bakeIpv6(volley, this.#sources);
    wire.locate(volley.count, volley.packetAt);
    this.#frame.stamp = stamp;
    probe.aim(this.#frame, volley, this.#sources);
    this.written = volley.count;
    volley.count = 0;
    return refused;
  }
}
