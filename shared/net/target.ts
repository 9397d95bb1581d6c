/** One (address, port) of a space. A slot to be refilled: hot paths keep one and move on. */
export class Target {
  /** IPv4, host order. */
  address = 0;
  port = 0;
}
