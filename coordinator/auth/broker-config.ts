/**
 * The configuration of the broker: three accounts, so that only coordinators have access to the streams.
 *
 *     CORE    streams, buckets; coordinators only
 *     AGENTS  may ask on `agent.<own name>.*`, publish `results.*.<own name>.*`, receive announcements
 *     PEOPLE  may ask on `control.<own name>.<verb>`, for the verbs of their roles
 *
 * Agents and people import single subjects of CORE. Reply subjects are names in their own account, so no
 * reply can be directed to a stream.
 */
import { inboxOf } from '../../shared/bus/nats/subjects.js';
import { type Invitation, ROLES, type Roster, type RosterEntry } from './roster.js';

export interface BrokerSettings {
  /** `host:port` on which it listens. */
  readonly listen: string;
  /** Folder of its streams. */
  readonly store: string;
  readonly pidFile: string;
  readonly logFile: string;
  /** Paths; undefined without TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
}

interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const text = (value: string) => JSON.stringify(value);
const list = (values: readonly string[]) => `[${values.map(text).join(', ')}]`;

/** The text of nats.conf. @param now milliseconds since the Unix epoch: invitations that are over are left out */
export function brokerConfig(settings: BrokerSettings, roster: Roster, now: number): string {
  const { listen, store, pidFile, logFile, tls } = settings;
  const open = roster.invitations.filter(({ until }) => Date.parse(until) > now);
  const members = (kind: RosterEntry['kind']) => [
    ...roster.entries.filter((entry) => entry.kind === kind).map(userOf),
    ...open.filter((entry) => entry.kind === kind).map(guest),
  ];
  const tlsBlock =
    tls === undefined
      ? ''
      : `tls { cert_file: ${text(tls.certificate)}, key_file: ${text(tls.key)}, timeout: 5 }\n`;
  return `# Written by "transect auth"; your changes would be lost with its next change.
listen: ${text(listen)}
pid_file: ${text(pidFile)}
log_file: ${text(logFile)}
jetstream { store_dir: ${text(store)} }
${tlsBlock}accounts {
  CORE {
    jetstream: enabled
    users: [${block(members('coordinator'))}]
    exports: [
      { service: "agent.*.*", accounts: [AGENTS] }
      { service: "results.*.*.*", accounts: [AGENTS] }
      { service: "enrol.*", accounts: [AGENTS, PEOPLE] }
      { service: "control.*.*", response_type: stream, accounts: [PEOPLE] }
      { stream: "announce.*", accounts: [AGENTS] }
    ]
  }
  AGENTS {
    users: [${block(members('agent'))}]
    imports: [
      { service: { account: CORE, subject: "agent.*.*" } }
      { service: { account: CORE, subject: "results.*.*.*" } }
      { service: { account: CORE, subject: "enrol.*" } }
      { stream: { account: CORE, subject: "announce.*" } }
    ]
  }
  PEOPLE {
    users: [${block(members('person'))}]
    imports: [
      { service: { account: CORE, subject: "control.*.*" } }
      { service: { account: CORE, subject: "enrol.*" } }
    ]
  }
}
`;
}

function block(users: readonly string[]): string {
  return users.length === 0 ? '' : `\n      ${users.join('\n      ')}\n    `;
}

function userOf(entry: RosterEntry): string {
  // Coordinators are alone in their account.
  if (entry.kind === 'coordinator') return `{ nkey: ${entry.key} }`;
  return userWith(entry.key, entry.kind === 'agent' ? ofAgent(entry) : ofPerson(entry));
}

function userWith(key: string, { publish, subscribe }: Permissions): string {
  const permissions = `publish: ${list(publish)}, subscribe: ${list(subscribe)}`;
  return `{ nkey: ${key}, permissions: { ${permissions} } }`;
}

function ofAgent({ name }: RosterEntry): Permissions {
  return {
    publish: [`agent.${name}.*`, `results.*.${name}.*`, `enrol.${name}`],
    subscribe: [`${inboxOf(name)}.>`, 'announce.*'],
  };
}

function ofPerson({ name, roles }: RosterEntry): Permissions {
  const verbs = new Set<string>(roles.flatMap((role) => ROLES[role]));
  return {
    publish: [...['presence', ...verbs].map((verb) => `control.${name}.${verb}`), `enrol.${name}`],
    subscribe: [`${inboxOf(name)}.>`],
  };
}

/** An invitation gives the right to enrol, and no other. */
function guest({ name, key }: Invitation): string {
  return userWith(key, { publish: [`enrol.${name}`], subscribe: [`${inboxOf(name)}.>`] });
}
