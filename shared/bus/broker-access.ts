/**
 * Access to a broker: its servers, our login, TLS. Secrets are in `BrokerAccess` only; logs, errors and the
 * process list show `brokerUrls` instead.
 */

/** Our credentials for a NATS server, of one of four kinds. */
export type BrokerLogin =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  /** The seed of an nkey: `SU…`. */
  | { readonly kind: 'nkey'; readonly seed: string }
  /** The text of a .creds file: a JWT and the seed of its nkey. */
  | { readonly kind: 'creds'; readonly text: string };

/** PEM texts. */
export interface BrokerTls {
  /** The certificate authorities that may sign the server's certificate; if undefined, those of the system. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface BrokerAccess {
  /** `host:port` of each server, without secrets. */
  readonly servers: readonly string[];
  readonly login?: BrokerLogin | undefined;
  /** TLS is required if set; else the server decides. */
  readonly tls?: BrokerTls | undefined;
  /** The name of our login; undefined if the broker does not know us by name. */
  readonly name?: string | undefined;
  /** The flag that selects the broker, for error messages; undefined if no flag does, as in `scan`. */
  readonly flag?: string | undefined;
}

/** For people: the servers as URLs, without secrets. */
export function brokerUrls({ servers, tls }: BrokerAccess): string {
  return servers.map((server) => `${tls === undefined ? 'nats' : 'tls'}://${server}`).join(',');
}
