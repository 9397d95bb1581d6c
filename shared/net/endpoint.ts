/**
 * An address and a port: a slot to be refilled; hot paths keep one and move on. The address is four
 * 32-bit words, most significant first, host order. IPv4 is mapped (RFC 4291 §2.5.5.2), so that its
 * address is `w3` and both families fit.
 */
import type { Words } from './ipv6.js';

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

  /** Takes an IPv4 address, host order. */
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

  /** Takes the address that stands at octet `at`, network order, and leaves the port. */
  readIpv6(view: DataView, at: number): void {
    this.w0 = view.getUint32(at);
    this.w1 = view.getUint32(at + 4);
    this.w2 = view.getUint32(at + 8);
    this.w3 = view.getUint32(at + 12);
  }
}
