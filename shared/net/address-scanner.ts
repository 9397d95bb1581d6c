/**
 * Reads addresses of the usual form directly from the octets of a list, without a string. It accepts only forms that
 * `parseIpv4` and `parseIpv6` accept, with the same result; it does not accept all of them (no IPv4 numbers with
 * leading zeros, no IPv6 addresses with an IPv4 tail), and leaves the others to these two.
 */
const DOT = 0x2e;
const COLON = 0x3a;
const GROUPS = 8;
const NO_GAP = -1;

/** The value of a hexadecimal digit, by octet; 255 for other octets. */
const HEX = Uint8Array.from({ length: 256 }, (_, octet) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(octet).toLowerCase());
  return digit < 0 ? 255 : digit;
});

export class AddressScanner {
  /** The offset behind the address that was read last. */
  end = 0;
  /** The IPv6 address that was read last, as four words. */
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;
  readonly #groups = new Uint16Array(GROUPS);

  /** Reads an IPv4 address at an offset. @returns the address, host order; −1 if there is none of the usual form */
  readIpv4(octets: Uint8Array, from: number): number {
    let at = from;
    let address = 0;
    for (let count = 0; ; count++) {
      let digit = (octets[at] as number) - 48;
      if (digit < 0 || digit > 9) return -1;
      const start = at;
      let part = 0;
      do {
        part = part * 10 + digit;
        digit = (octets[++at] as number) - 48;
      } while (digit >= 0 && digit <= 9 && at - start < 3);
      if (part > 255 || (at - start > 1 && octets[start] === 48)) return -1;
      address = address * 256 + part;
      if (count === 3) break;
      if (octets[at++] !== DOT) return -1;
    }
    this.end = at;
    return address;
  }

  /** Reads an IPv6 address at an offset into `w0` … `w3`. @returns false if there is none of the usual form */
  readIpv6(octets: Uint8Array, from: number): boolean {
    const groups = this.#groups;
    let at = from;
    let count = 0;
    /** The number of groups before `::`. */
    let gap = NO_GAP;
    if (octets[at] === COLON) {
      if (octets[at + 1] !== COLON) return false;
      gap = 0;
      at += 2;
    }
    for (;;) {
      const start = at;
      let group = 0;
      let digit = HEX[octets[at] as number] as number;
      while (digit < 16 && at - start < 4) {
        group = group * 16 + digit;
        digit = HEX[octets[++at] as number] as number;
      }
      // Only the end of an address may follow `::` directly.
      if (at === start) {
        if (gap === NO_GAP || gap !== count) return false;
        break;
      }
      if (count === GROUPS) return false;
      groups[count++] = group;
      if (octets[at] !== COLON) break;
      at++;
      if (octets[at] === COLON) {
        if (gap !== NO_GAP) return false;
        gap = count;
        at++;
      } else if ((HEX[octets[at] as number] as number) > 15) return false;
    }
    if (gap === NO_GAP ? count !== GROUPS : count === GROUPS) return false;
    if (gap !== NO_GAP) {
      groups.copyWithin(GROUPS - (count - gap), gap, count);
      groups.fill(0, gap, GROUPS - (count - gap));
    }
    this.w0 = (groups[0] as number) * 65536 + (groups[1] as number);
    this.w1 = (groups[2] as number) * 65536 + (groups[3] as number);
    this.w2 = (groups[4] as number) * 65536 + (groups[5] as number);
    this.w3 = (groups[6] as number) * 65536 + (groups[7] as number);
    this.end = at;
    return true;
  }
}
