/**
 * What can be said about a survey, on the command line or in a file, each once: a flag, a key of the
 * survey file, a parser. Both end in a draft; a draft becomes a space and a request.
 */
import { readFile } from 'node:fs/promises';
import { text as readStream } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { shortId, systemRandom } from '../../shared/base/random.js';
import { option, repeatable } from '../../shared/command/program.js';
import { type Port, parsePorts } from '../../shared/net/ports.js';
import { formatRange } from '../../shared/net/prefix.js';
import { probeNamed } from '../../shared/probe/catalogue.js';
import type { ProbeOptions } from '../../shared/probe/probe.js';
import { parseBandwidth, parseDuration, parseRate } from '../../shared/survey/quantities.js';
import { hashSpace, Space } from '../../shared/survey/space.js';
import type { Report, SurveyRequest } from '../../shared/survey/survey.js';
import {
  type Composition,
  composeTargets,
  type ListEntry,
  parseEntry,
  parseList,
} from '../../shared/survey/target-list.js';
import { rateOfBandwidth } from '../plan/estimate.js';
import { sinkNamed } from '../sink/sink.js';

export interface Draft {
  readonly targets: readonly ListEntry[];
  readonly exclusions: readonly ListEntry[];
  readonly allowSpecial: readonly ListEntry[];
  readonly name?: string | undefined;
  readonly ports?: readonly Port[] | undefined;
  readonly probe?: string | undefined;
  readonly probeOptions?: ProbeOptions | undefined;
  readonly rate?: Pps | undefined;
  readonly bandwidth?: number | undefined;
  readonly cooldown?: Millis | undefined;
  readonly seed?: string | undefined;
  readonly report?: Report | undefined;
  readonly output?: string | undefined;
  readonly contact?: string | undefined;
  readonly purpose?: string | undefined;
}

export interface Drafted {
  readonly request: SurveyRequest;
  readonly space: Space;
  readonly composition: Composition;
}

/** What commander gathers from the flags below. */
export interface SurveyFlags {
  readonly ports?: readonly Port[];
  readonly allowlistFile?: readonly string[];
  readonly blocklistFile?: readonly string[];
  readonly exclude?: readonly ListEntry[];
  readonly allowSpecial?: readonly ListEntry[];
  readonly name?: string;
  readonly probe?: string;
  readonly rate?: Pps;
  readonly bandwidth?: number;
  readonly cooldown?: Millis;
  readonly seed?: string;
  readonly report?: Report;
  readonly outputModule?: string;
  readonly contact?: string;
  readonly purpose?: string;
}

const DEFAULT_RATE = 1000 as Pps;
const DEFAULT_COOLDOWN = 8000 as Millis;
const DEFAULT_PROBE = 'tcp-syn';
const DEFAULT_OUTPUT = 'csv';

export function addSurveyOptions(command: Command): Command {
  const same = (text: string) => text;
  const entry = (flag: string) => (text: string) => parseEntry(text, flag);
  const options = [
    option('-p, --ports <list>', 'ports: 80,443,8000-8100', parsePorts),
    repeatable('-w, --allowlist-file <file>', 'targets, one range per line (- is stdin)', same),
    repeatable('-b, --blocklist-file <file>', 'exclusions, one range per line', same),
    repeatable('--exclude <cidr>', 'a range that is not probed', entry('--exclude')),
    repeatable(
      '--allow-special <cidr>',
      'survey a special-purpose range, by name',
      entry('--allow-special'),
    ),
    option('-r, --rate <pps>', 'probes per second, all agents together (default: 1000)', parseRate),
    option('-B, --bandwidth <bps>', 'the rate as bits per second on Ethernet', parseBandwidth),
    option('-c, --cooldown <time>', 'how long replies are awaited (default: 8s)', parseDuration),
    option('-e, --seed <text>', 'the order of probing follows from it (default: random)'),
    option('--probe <name>', `what is sent (default: ${DEFAULT_PROBE})`, (name) => {
      return probeNamed(name).name;
    }),
    option('--report <which>', 'successes (default) or all', parseReport),
    option('-O, --output-module <name>', `csv or ndjson (default: ${DEFAULT_OUTPUT})`, (name) => {
      return sinkNamed(name).name;
    }),
    option('--name <text>', 'a name for people'),
    option('--contact <address>', 'whom to ask about the survey').env('TRANSECT_CONTACT'),
    option('--purpose <text>', 'what the survey is for').env('TRANSECT_PURPOSE'),
  ];
  for (const each of options) command.addOption(each);
  return command;
}

/** @throws Fault UNREADABLE_FILE, BAD_LIST or BAD_OPTION */
export async function draftOfFlags(targets: readonly string[], flags: SurveyFlags): Promise<Draft> {
  const { allowlistFile = [], blocklistFile = [], outputModule, ...rest } = flags;
  const given = targets.map((text) => parseEntry(text, 'TARGETS'));
  const listed = await Promise.all(allowlistFile.map((file) => readList(file, '--allowlist-file')));
  const blocked = await Promise.all(
    blocklistFile.map((file) => readList(file, '--blocklist-file')),
  );
  return {
    ...rest,
    targets: [...given, ...listed.flat()],
    exclusions: [...(flags.exclude ?? []), ...blocked.flat()],
    allowSpecial: flags.allowSpecial ?? [],
    output: outputModule,
  };
}

/** What the second says goes before what the first says; lists are joined. */
export function mergeDrafts(first: Draft, second: Draft): Draft {
  const said = Object.fromEntries(
    Object.entries(second).filter(([, value]) => value !== undefined),
  );
  return {
    ...first,
    ...said,
    targets: [...first.targets, ...second.targets],
    exclusions: [...first.exclusions, ...second.exclusions],
    allowSpecial: [...first.allowSpecial, ...second.allowSpecial],
  };
}

/** @throws Fault BAD_OPTION, SPECIAL_TARGETS, EMPTY_SPACE or SPACE_TOO_LARGE */
export function finishDraft(draft: Draft): Drafted {
  const { targets, exclusions, allowSpecial, ports, bandwidth } = draft;
  if (targets.length === 0) {
    throw new Fault('BAD_OPTION', 'name at least one target, such as 198.18.0.0/15', {
      flag: 'TARGETS',
    });
  }
  if (ports === undefined) {
    throw new Fault('BAD_OPTION', 'name the ports, such as -p 443', { flag: '--ports' });
  }
  const composition = composeTargets(targets, exclusions, allowSpecial);
  const space = new Space(composition.ranges, ports);
  const probe = draft.probe ?? DEFAULT_PROBE;
  const perBandwidth = bandwidth === undefined ? undefined : rateOfBandwidth(bandwidth, probe);
  const request: SurveyRequest = {
    name: draft.name ?? '',
    probe,
    probeOptions: probeNamed(probe).parseOptions(draft.probeOptions ?? {}),
    rate: (perBandwidth as Pps | undefined) ?? draft.rate ?? DEFAULT_RATE,
    cooldown: draft.cooldown ?? DEFAULT_COOLDOWN,
    seed: draft.seed ?? shortId(systemRandom, 12),
    report: draft.report ?? 'successes',
    output: draft.output ?? DEFAULT_OUTPUT,
    contact: draft.contact ?? '',
    purpose: draft.purpose ?? '',
    allowSpecial: allowSpecial.map(({ range }) => formatRange(range)),
    spaceHash: hashSpace(space.toBytes()),
  };
  return { request, space, composition };
}

/** Reads a list file, or stdin for `-`. @throws Fault UNREADABLE_FILE or BAD_LIST */
export async function readList(file: string, flag: string): Promise<ListEntry[]> {
  const content = file === '-' ? readStream(process.stdin) : readFile(file, 'utf8');
  const text = await content.catch((cause: unknown) => {
    const why = `cannot read the file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', why, { flag, file }, cause);
  });
  return parseList(text, file === '-' ? 'stdin' : file);
}

export function parseReport(text: string): Report {
  if (text === 'successes' || text === 'all') return text;
  throw new Fault('BAD_OPTION', 'a report is successes or all', { value: text });
}
