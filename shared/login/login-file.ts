/**
 * Login files: all that a program needs to reach its broker, in one file that only its owner may read. The name of
 * the login is who we are: agents and people are named by it, not by what they say.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { describeError, Fault } from '../base/faults.js';
import type { BrokerAccess } from '../bus/broker-access.js';

export const LOGIN_KINDS = ['agent', 'person', 'coordinator'] as const;
export type LoginKind = (typeof LOGIN_KINDS)[number];

export interface Login {
  readonly kind: LoginKind;
  /** A part of subjects. */
  readonly name: string;
  /** `host:port` of each server. */
  readonly servers: readonly string[];
  /** The certificate authority that signs the servers' certificates (PEM); empty if there is no TLS. */
  readonly ca: string;
  /** The seed of our nkey. */
  readonly seed: string;
}

/** Names of logins are parts of subjects, file names and vantage labels. */
export const LOGIN_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/;
const OCTETS_MAX = 64 * 1024;
/** Permission bits of the group and of others. */
const OTHERS = 0o077;

const shape = z.object({
  kind: z.enum(LOGIN_KINDS),
  name: z.string().regex(LOGIN_NAME),
  servers: z.array(z.string().regex(/^[^\s/@]+:\d+$/)).min(1),
  ca: z.string(),
  seed: z.string().regex(/^SU[A-Z2-7]{56}$/),
});

export function loginToText(login: Login): string {
  return `${JSON.stringify(login, null, 2)}\n`;
}

/** @throws Fault BAD_OPTION, which contains no secret */
export function parseLogin(text: string): Login {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    throw new Fault('BAD_OPTION', 'this is not a login file');
  }
}

/** Reads a login file. @throws Fault UNREADABLE_FILE, or BAD_OPTION if others may read it, or it is no login */
export function readLogin(file: string, kind: LoginKind, flag: string): Login {
  let text: string;
  try {
    const handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { mode, size } = fstatSync(handle);
      if ((mode & OTHERS) !== 0)
        throw new Fault('BAD_OPTION', `others may read this secret; run: chmod 600 ${file}`);
      if (size > OCTETS_MAX) throw new Fault('BAD_OPTION', 'this is not a login file');
      text = readFileSync(handle, 'utf8');
    } finally {
      closeSync(handle);
    }
    const login = parseLogin(text);
    if (login.kind === kind) return login;
    const article = login.kind === 'agent' ? 'an' : 'a';
    throw new Fault(
      'BAD_OPTION',
      `this is the login of ${article} ${login.kind}, not of a ${kind}`,
    );
  } catch (cause) {
    if (cause instanceof Fault) throw cause.at({ flag, file });
    const reason = `cannot read the file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag, file }, cause);
  }
}

/** The access to the broker that a login gives. */
export function accessOf({ name, servers, ca, seed }: Login, flag?: string): BrokerAccess {
  return {
    servers,
    login: { kind: 'nkey', seed },
    tls: ca === '' ? undefined : { ca },
    name,
    flag,
  };
}
