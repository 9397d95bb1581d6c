/** The roster: who may log in to the broker, by which public key, and what each may do. */
import { z } from 'zod';
import { Fault } from '../../shared/base/faults.js';
import type { ControlVerb } from '../../shared/bus/control-api.js';
import type { Disk } from '../../shared/host/disk.js';
import { LOGIN_KINDS, LOGIN_NAME, type LoginKind } from '../../shared/login/login-file.js';

/** The verbs that each role of a person permits. */
export const ROLES = {
  observe: ['status', 'agents', 'lookup', 'exclusions', 'files', 'file'],
  exclude: ['exclude', 'exclusions'],
  launch: ['upload', 'launch', 'exclusions', 'status'],
  steer: ['pause', 'resume', 'cancel', 'rate', 'lift', 'status'],
  admit: ['enrolments'],
} as const satisfies Record<string, readonly ControlVerb[]>;

export type Role = keyof typeof ROLES;
export const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

export interface RosterEntry {
  readonly name: string;
  readonly kind: LoginKind;
  /** Public nkey. */
  readonly key: string;
  /** Of a person. */
  readonly roles: readonly Role[];
  /** ISO 8601. */
  readonly since: string;
}

/** Somebody who may enrol, until a time. */
export interface Invitation extends Omit<RosterEntry, 'since'> {
  /** ISO 8601. */
  readonly until: string;
}

export interface Roster {
  readonly entries: readonly RosterEntry[];
  readonly invitations: readonly Invitation[];
}

const OCTETS_MAX = 16 * 1024 ** 2;
const entryShape = z.object({
  name: z.string().regex(LOGIN_NAME),
  kind: z.enum(LOGIN_KINDS),
  key: z.string().regex(/^U[A-Z2-7]{55}$/),
  roles: z.array(z.enum(ROLE_NAMES as [Role, ...Role[]])),
  since: z.iso.datetime(),
});
const shape = z.object({
  entries: z.array(entryShape),
  invitations: z.array(entryShape.omit({ since: true }).extend({ until: z.iso.datetime() })),
});

/** @throws Fault UNREADABLE_FILE if there is no roster, BAD_MESSAGE if the file is damaged */
export async function readRoster(disk: Disk, file: string, flag = '--dir'): Promise<Roster> {
  const text = await disk.read(file, OCTETS_MAX);
  if (text === undefined) {
    const reason = 'there is no roster; make one with: transect auth init';
    throw new Fault('UNREADABLE_FILE', reason, { flag, file });
  }
  try {
    return shape.parse(JSON.parse(text.toString()));
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the file is not a roster', { flag, file }, cause);
  }
}

export async function writeRoster(disk: Disk, file: string, roster: Roster): Promise<void> {
  await disk.writeSecret(file, `${JSON.stringify(roster, null, 2)}\n`);
}

/** The roster with an entry, which replaces an earlier one and the invitation of the same name. */
export function withEntry({ entries, invitations }: Roster, entry: RosterEntry): Roster {
  return {
    entries: [...entries.filter(({ name }) => name !== entry.name), entry],
    invitations: invitations.filter(({ name }) => name !== entry.name),
  };
}

/** The roster without a name. @throws Fault BAD_OPTION if it is not there */
export function without({ entries, invitations }: Roster, name: string): Roster {
  const left = {
    entries: entries.filter((each) => each.name !== name),
    invitations: invitations.filter((each) => each.name !== name),
  };
  const isGone =
    left.entries.length < entries.length || left.invitations.length < invitations.length;
  if (isGone) return left;
  throw new Fault('BAD_OPTION', 'nobody has this name; see: transect auth list', { value: name });
}
