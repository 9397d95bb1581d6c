/**
 * One (address, port) of a space: a slot to be refilled; hot paths keep one and move on. The address
 * is four 32-bit words, most significant first, host order. IPv4 is mapped (RFC 4291 §2.5.5.2), so
 * that its address is `w3` and a survey may mix both families.
 */
const MAPPED = 0xffff;

export class Target {
  w0 = 0;
  w1 = 0;
  w2 = MAPPED;
  w3 = 0;
  port = 0;

  /** @param address IPv4, host order */
  static ipv4(address: number, port: number): Target {
    const target = new Target();
    target.w3 = address;
    target.port = port;
    return target;
  }

  get isIpv4(): boolean {
    return this.w2 === MAPPED && this.w1 === 0 && this.w0 === 0;
  }

  /** Takes an IPv4 address, host order. */
  setIpv4(address: number): void {
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = MAPPED;
    this.w3 = address;
  }
}
