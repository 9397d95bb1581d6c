/** The survey options of the command line, each declared once: a flag, a parser, a line of help. */
import type { Command } from 'commander';
import type { Millis, Pps } from '../../../shared/base/brand.js';
import { Fault } from '../../../shared/base/faults.js';
import { option, repeatable } from '../../../shared/command/program.js';
import type { ProbeChoice } from '../../../shared/probe/probe-set.js';
import { parseBlock, type RuleList } from '../../../shared/survey/lists/rule-list.js';
import {
  parseBandwidth,
  parseDuration,
  parseRate,
  parseRateLimit,
} from '../../../shared/survey/quantities.js';
import { parseAliasLengths } from '../../../shared/survey/space/alias-tests.js';
import type { RowPolicy } from '../../../shared/survey/survey.js';
import { parseName, parseSentence } from '../../../shared/survey/text.js';
import { UNLISTED_PER_64_MAX } from '../../plan/peak-rate.js';
import { SINK_NAMES, sinkNamed } from '../../sink/sink-registry.js';
import { printNote } from '../output/print.js';
import type { SurveyDraft } from './draft.js';
import {
  limitOptions,
  parseCrossCheck,
  parseProbesPerTarget,
  type TargetLimit,
} from './limit-options.js';
import { readBlockList, readHitlist, readPairs, readTarget, readTargetList } from './lists.js';
import { DEFAULT_PROBE, type PortEntry, parsePortEntries, parseProbe } from './probe-ports.js';
import { DEFAULT_OUTPUT } from './resolve.js';

/** The flags below, as commander parses them. */
export interface SurveyFlags {
  readonly ports?: readonly PortEntry[];
  readonly allowlistFile?: readonly string[];
  readonly listOfIpsFile?: readonly string[];
  readonly pairsFile?: readonly string[];
  readonly blocklistFile?: readonly string[];
  readonly exclude?: readonly RuleList[];
  readonly allowSpecial?: readonly RuleList[];
  readonly name?: string;
  readonly probe?: readonly ProbeChoice[];
  readonly probes?: number;
  readonly detectAliases?: boolean;
  readonly aliasLengths?: readonly number[];
  readonly crossCheck?: number;
  readonly maxTargets?: TargetLimit;
  readonly maxResults?: number;
  readonly maxRuntime?: Millis;
  readonly minHitrate?: number;
  readonly rate?: Pps;
  readonly bandwidth?: number;
  readonly cooldown?: Millis;
  readonly seed?: string;
  readonly rows?: RowPolicy;
  readonly outputModule?: string;
  readonly contact?: string;
  readonly purpose?: string;
  readonly maxRatePer24?: Pps;
  readonly maxRatePer48?: Pps;
  readonly maxRatePer64?: Pps;
}

export function addSurveyOptions(command: Command): Command {
  const same = (text: string) => text;
  const entry = (flag: string) => (text: string) => parseBlock(text, flag);
  const options = [
    option(
      '-p, --ports <list>',
      'ports: 80,443,8000-8100, *, !22, top:100; for other probes: udp:53, icmp-echo',
      parsePortEntries,
    ),
    repeatable('-w, --allowlist-file <file>', 'targets, one range per line (- is stdin)', same),
    repeatable(
      '-I, --list-of-ips-file <file>',
      'targets, one address per line; bad lines are skipped',
      same,
    ),
    repeatable('--pairs-file <file>', 'targets, one address:port per line', same),
    repeatable('-b, --blocklist-file <file>', 'exclusions, one range per line', same),
    repeatable('--exclude <cidr>', 'a range to exclude', entry('--exclude')),
    repeatable('--allow-special <cidr>', 'allow a special-purpose range', entry('--allow-special')),
    ...rateOptions(),
    option('-c, --cooldown <time>', 'wait this long for late replies (default: 8s)', parseDuration),
    option('-e, --seed <text>', 'seed of the probing order (default: random)', parseName),
    repeatable(
      '-M, --probe <name>',
      `probe to send, with options as NAME:option=value,… (default: ${DEFAULT_PROBE}); see transect probes`,
      parseProbe,
    ),
    option(
      '-P, --probes <n>',
      'probe a target up to n times while it stays silent (default: 1)',
      parseProbesPerTarget,
    ),
    option(
      '--detect-aliases',
      'find IPv6 /64 prefixes whose every address answers, by 16 additional targets in each',
    ),
    option(
      '--alias-lengths <list>',
      'test prefixes of these lengths, such as 48,64; implies --detect-aliases',
      parseAliasLengths,
    ),
    option(
      '--cross-check <n>',
      'one of n shards of each agent is probed again by another agent, and the answers are compared',
      parseCrossCheck,
    ),
    ...limitOptions(),
    option(
      '--rows <which>',
      'replies that become rows: successes (default) or all',
      parseRowPolicy,
    ),
    option(
      '-O, --output-module <name>',
      `format of rows: ${SINK_NAMES.join(', ')} (default: ${DEFAULT_OUTPUT} if stored, csv if printed by scan)`,
      (name) => {
        return sinkNamed(name).name;
      },
    ),
    option('--name <text>', 'a descriptive name', parseName),
    option(
      '--contact <address>',
      'contact address for questions about the survey',
      parseSentence,
    ).env('TRANSECT_CONTACT'),
    option('--purpose <text>', 'purpose of the survey', parseSentence).env('TRANSECT_PURPOSE'),
  ];
  for (const each of options) command.addOption(each);
  return command;
}

function rateOptions() {
  return [
    option(
      '-r, --rate <pps>',
      'probes per second, all agents together (default: 1000); 0 is as fast as possible',
      parseRateLimit,
    ),
    option(
      '-B, --bandwidth <bps>',
      'the rate in bits per second on Ethernet, instead of -r',
      parseBandwidth,
    ),
    option('--max-rate-per-24 <pps>', 'limit the average rate into any IPv4 /24', parseRate),
    option('--max-rate-per-48 <pps>', 'limit the average rate into any IPv6 /48', parseRate),
    option(
      '--max-rate-per-64 <pps>',
      `limit the average rate into any IPv6 /64 (default: ${UNLISTED_PER_64_MAX}; ` +
        'addresses of hitlists and pairs do not count)',
      parseRate,
    ),
  ];
}

/** @throws Fault UNREADABLE_FILE, BAD_LIST or BAD_OPTION */
export async function draftFromFlags(
  targets: readonly string[],
  flags: SurveyFlags,
): Promise<SurveyDraft> {
  const { allowlistFile, listOfIpsFile, pairsFile, blocklistFile, outputModule, ...rest } = flags;
  const all = <List>(files: readonly string[] = [], read: (file: string) => Promise<List>) =>
    Promise.all(files.map(read));
  const [given, listed, blocked, hitlists, pairs] = await Promise.all([
    all(targets, (text) => readTarget(text, 'TARGETS', printNote)),
    all(allowlistFile, (file) => readTargetList(file, '--allowlist-file')),
    all(blocklistFile, (file) => readBlockList(file, '--blocklist-file')),
    all(listOfIpsFile, (file) => readHitlist(file, '--list-of-ips-file', printNote)),
    all(pairsFile, (file) => readPairs(file, '--pairs-file', printNote)),
  ]);
  return {
    ...rest,
    targets: [...given.flat(), ...listed],
    hitlists,
    pairs,
    exclusions: [...(flags.exclude ?? []), ...blocked],
    allowSpecial: flags.allowSpecial ?? [],
    segmentFormat: outputModule,
  };
}

export function parseRowPolicy(text: string): RowPolicy {
  if (text === 'successes' || text === 'all') return text;
  throw new Fault('BAD_OPTION', 'must be successes or all', { value: text });
}
