/** One (address, port) of a space. */
import { Endpoint } from './endpoint.js';

export class Target extends Endpoint {
  /** @param address IPv4, host order */
  static ipv4(address: number, port: number): Target {
    const target = new Target();
    target.w3 = address;
    target.port = port;
    return target;
  }
}
