/**
 * How a broker is reached: where it is, and who we are to it. Secrets stand here and nowhere else: what is
 * shown to people, in logs, errors and the process list, is `where`.
 */

/** Who we are to a NATS server, in each of the forms it knows. */
export type BrokerLogin =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  /** The seed of an nkey: `SU…`. */
  | { readonly kind: 'nkey'; readonly seed: string }
  /** The text of a .creds file: a JWT and the seed of its nkey. */
  | { readonly kind: 'creds'; readonly text: string };

/** PEM texts. */
export interface BrokerTls {
  /** Who may vouch for the server; the system's authorities where there is none. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface BrokerAccess {
  /** `host:port` of each server, without secrets. */
  readonly servers: readonly string[];
  readonly login?: BrokerLogin | undefined;
  /** TLS or nothing; undefined where the server decides. */
  readonly tls?: BrokerTls | undefined;
  /** The flag that names another one; undefined where the user named none, as in `scan`. */
  readonly flag?: string | undefined;
}

/** For people: the servers as URLs, without secrets. */
export function brokerUrls({ servers, tls }: BrokerAccess): string {
  return servers.map((server) => `${tls === undefined ? 'nats' : 'tls'}://${server}`).join(',');
}
