/** Logging in to a NATS server, and the error messages about it, none of which contains a secret. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  AuthorizationError,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  UserAuthenticationExpiredError,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { describeError, Fault, type FaultDetails } from '../../base/faults.js';
import { type BrokerAccess, type BrokerLogin, brokerUrls } from '../broker-access.js';

type LoginOptions = Pick<ConnectionOptions, 'servers' | 'authenticator' | 'tls'>;

/** With TLS options the client refuses servers without TLS before it sends the login. */
export function loginOptions({ servers, login, tls }: BrokerAccess): LoginOptions {
  return {
    servers: [...servers],
    ...(login && { authenticator: authenticatorOf(login) }),
    ...(tls && {
      tls: {
        ...(tls.ca && { ca: tls.ca }),
        ...(tls.certificate && { cert: tls.certificate }),
        ...(tls.key && { key: tls.key }),
        // Missing from the client's types, but passed on to node:tls.
        ...({ checkServerIdentity: identityCheck(servers) } as object),
      },
    }),
  };
}

/** Turns a failed connection into a sentence that says what to do. */
export function connectFault(access: BrokerAccess, cause: unknown): Fault {
  const reason = describeError(cause);
  const location = locationOf(access);
  if (cause instanceof AuthorizationError || /authoriz|authentic/i.test(reason)) {
    const sentence =
      access.login === undefined
        ? `the NATS server requires a login, and none was given (${reason})`
        : `the NATS server rejects the login by ${NAMES[access.login.kind]} (${reason})`;
    return new Fault('BROKER_REFUSED', sentence, location, cause);
  }
  if (cause instanceof UserAuthenticationExpiredError)
    return new Fault('BROKER_REFUSED', `the login has expired (${reason})`, location, cause);
  if (/does not support 'tls'/.test(reason)) {
    const sentence = 'TLS is required, and the NATS server does not support it';
    return new Fault('BROKER_REFUSED', sentence, location, cause);
  }
  if (isAboutTls(cause, reason))
    return new Fault('BROKER_REFUSED', `TLS to the NATS server fails: ${reason}`, location, cause);
  const remedy = access.flag === undefined ? '' : `; start one, or name it with ${access.flag}`;
  const sentence = `no NATS server answers (${reason})${remedy}`;
  return new Fault('BROKER_UNREACHABLE', sentence, location, cause);
}

export function locationOf(access: BrokerAccess): FaultDetails {
  return access.flag === undefined ? {} : { flag: access.flag, value: brokerUrls(access) };
}

const NAMES = {
  password: 'user and password',
  token: 'token',
  nkey: 'nkey',
  creds: 'creds file',
} as const satisfies Record<BrokerLogin['kind'], string>;

function authenticatorOf(login: BrokerLogin) {
  const encode = (text: string) => new TextEncoder().encode(text);
  switch (login.kind) {
    case 'password':
      return usernamePasswordAuthenticator(login.user, login.password);
    case 'token':
      return tokenAuthenticator(login.token);
    case 'nkey':
      return nkeyAuthenticator(encode(login.seed));
    case 'creds':
      return credsAuthenticator(encode(login.text));
  }
}

/**
 * Checks the certificate of a server. If the server is given by its address, the client passes no name, and
 * node:tls checks the certificate against `localhost`; instead, the certificate must then be valid for one of
 * the addresses that we were given.
 */
function identityCheck(servers: readonly string[]) {
  const hosts = servers.map((server) => server.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return (name: string, certificate: PeerCertificate): Error | undefined => {
    if (hosts.includes(name) || addresses.length === 0)
      return checkServerIdentity(name, certificate);
    const faults = addresses.map((address) => checkServerIdentity(address, certificate));
    return faults.includes(undefined) ? undefined : faults[0];
  };
}

function isAboutTls(cause: unknown, reason: string): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  const isNamed =
    typeof code === 'string' &&
    /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code);
  return isNamed || /certificate|tls|ssl|handshake/i.test(reason);
}
