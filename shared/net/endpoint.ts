/**
 * Addresses and ports of both families: endpoints, targets and flows. An address is four 32-bit words in host
 * order, the most significant one first. An IPv4 address is mapped into IPv6 (RFC 4291 §2.5.5.2), so `w3`
 * holds it. The objects are mutable, so that hot paths can refill one object instead of creating many.
 */

/** An address: four unsigned 32-bit words, most significant first, host order. */
export type Words = readonly [number, number, number, number];

const MAPPED = 0xffff;

export class Endpoint {
  w0 = 0;
  w1 = 0;
  w2 = MAPPED;
  w3 = 0;
  port = 0;

  get isIpv4(): boolean {
    return this.w2 === MAPPED && this.w1 === 0 && this.w0 === 0;
  }

  get words(): Words {
    return [this.w0, this.w1, this.w2, this.w3];
  }

  /** @param address IPv4, host order */
  setIpv4(address: number): void {
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = MAPPED;
    this.w3 = address;
  }

  setWords([w0, w1, w2, w3]: Words): void {
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }

  /** Reads the IPv6 address at octet `at`, network order; the port stays. */
  readIpv6(view: DataView, at: number): void {
    this.w0 = view.getUint32(at);
    this.w1 = view.getUint32(at + 4);
    this.w2 = view.getUint32(at + 8);
    this.w3 = view.getUint32(at + 12);
  }
}

/** One target of a survey: an address, a port, and the probe that is sent to it. */
export class Target extends Endpoint {
  /** Index of the probe in the survey's list. */
  probe = 0;

  /** @param address IPv4, host order */
  static ipv4(address: number, port: number): Target {
    const target = new Target();
    target.w3 = address;
    target.port = port;
    return target;
  }
}

/** The flow of a probe, from the sender's point of view. */
export class Flow {
  /** Our address and port. */
  readonly source = new Endpoint();
  readonly target = new Target();
}
