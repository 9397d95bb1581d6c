/**
 * `transect exclude`: manages exclusions. Running surveys enforce a new one within a second; later surveys
 * enforce it from their start.
 */
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { isoTime } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { command, option } from '../../shared/command/program.js';
import { parseBlock } from '../../shared/survey/lists/rule-list.js';
import { Blocklist } from '../../shared/survey/policy/blocklist.js';
import { type Exclusion, inForce } from '../../shared/survey/policy/exclusions.js';
import { parseName, parseSentence } from '../../shared/survey/text.js';
import { formatTable, printCompleted, printNote, printOut } from './output/print.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

interface ReasonFlags extends BrokerFlags {
  readonly reason: string;
  readonly by?: string;
  readonly yes?: boolean;
}

/** Shorter prefixes need a confirmation. */
const WIDE = { 4: 8, 6: 16 } as const;

export function excludeCommand(): Command {
  const made = command('exclude', 'manage exclusions (opt-outs): add, lift, list');
  const add = command('add', 'exclude a range from running and later surveys');
  add.argument('<cidr>', 'a prefix, a range or an address', (text) => {
    parseBlock(text, 'CIDR');
    return text.trim();
  });
  add.addOption(option('--yes', 'exclude a very wide range without confirmation'));
  made.addCommand(withReason(add).action(addExclusion));
  const lift = command('lift', 'lift an exclusion; the log keeps both entries');
  lift.argument('<version-or-cidr>', 'as `exclude list` shows it');
  made.addCommand(withReason(lift).action(liftExclusion));
  const list = command('list', 'list all exclusions and their versions');
  list.addOption(option('--json', 'print JSON'));
  made.addCommand(addBrokerOptions(list).action(listExclusions));
  return made;
}

function withReason(made: Command): Command {
  const why = 'the reason, for the audit log';
  made.addOption(option('--reason <text>', why, parseReason).makeOptionMandatory());
  made.addOption(
    option('--by <name>', 'your name, for the audit log (default: your login)', parseName),
  );
  return addBrokerOptions(made);
}

function parseReason(text: string): string {
  if (text.trim() === '') throw new Fault('BAD_OPTION', 'a reason is needed');
  return parseSentence(text);
}

async function addExclusion(prefix: string, flags: ReasonFlags) {
  const { reason, by = userName() } = flags;
  if (!flags.yes && isWide(Blocklist.of([parseBlock(prefix, 'CIDR')]))) await confirm(prefix);
  const ask = { prefix, reason, by };
  const { version, waiting } = await withBus(flags, (bus) => bus.control.ask('exclude', ask));
  await printCompleted(String(version), 'exclusion');
  report(`version ${version}: ${prefix} is excluded`, waiting);
}

async function liftExclusion(lifted: string, flags: ReasonFlags) {
  const { reason, by = userName() } = flags;
  const ask = { lifted, reason, by };
  const { version, waiting, exclusions } = await withBus(flags, async (bus) => {
    const done = await bus.control.ask('lift', ask);
    const { exclusions } = await bus.control.ask('exclusions', {});
    return { ...done, exclusions };
  });
  await printCompleted(String(version), 'exclusion');
  report(`version ${version}: ${liftNotice(version, exclusions)}`, waiting);
}

/**
 * Says whether the range is still excluded once an exclusion is lifted: it stays excluded if another
 * exclusion names it, too.
 */
function liftNotice(version: number, exclusions: readonly Exclusion[]): string {
  const lifts = exclusions.find((each) => each.version === version)?.lifts ?? 0;
  const prefix = exclusions.find((each) => each.version === lifts)?.prefix ?? '';
  const still = inForce(exclusions).filter((each) => each.prefix === prefix);
  if (still.length === 0) return `${prefix} is no longer excluded`;
  const versions = still.map((each) => each.version).join(', ');
  return `version ${lifts} is lifted; ${prefix} stays excluded by version ${versions}`;
}

function report(what: string, waiting: readonly string[]): void {
  printNote(
    waiting.length === 0
      ? `${what}, and all agents at work enforce it`
      : `${what}; not yet acknowledged by ${waiting.join(', ')}: no agent can send before it does`,
  );
}

function isWide({ ipv4, ipv6 }: Blocklist): boolean {
  if (ipv6.count === 0) return ipv4.size > 2 ** (32 - WIDE[4]);
  const [[w0, w1], [v0, v1]] = [ipv6.firstOf(0), ipv6.lastOf(0)];
  // The highest bits in which the first and the last address differ.
  const length = w0 === v0 ? 32 + Math.clz32(w1 ^ v1) : Math.clz32(w0 ^ v0);
  return length < WIDE[6];
}

/** @throws Fault BAD_OPTION if the answer is no, or nobody can answer */
async function confirm(prefix: string): Promise<void> {
  const details = { flag: 'CIDR', value: prefix };
  if (!process.stdin.isTTY) {
    throw new Fault('BAD_OPTION', 'this range is very wide: confirm with --yes', details);
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`exclude ${prefix}, which stops most surveys? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    asking.close();
  }
  throw new Fault('BAD_OPTION', 'not confirmed: the range was not excluded', details);
}

/** In a container, our user id may have no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? `uid ${process.getuid?.() ?? ''}`;
  }
}

async function listExclusions(flags: BrokerFlags & { json?: boolean }) {
  const { exclusions } = await withBus(flags, (bus) => bus.control.ask('exclusions', {}));
  if (flags.json) await printOut(JSON.stringify(exclusions));
  else if (exclusions.length === 0) printNote('no exclusions yet');
  else {
    const active = new Set(inForce(exclusions));
    const rows = exclusions.map((entry) => {
      const { version, prefix, at, by, reason, lifts } = entry;
      const state = lifts > 0 ? `lifts ${lifts}` : active.has(entry) ? 'in force' : 'lifted';
      return { version, prefix, state, since: isoTime(at), by, reason };
    });
    await printOut(formatTable(rows));
  }
}
