/**
 * The probes and ports of a survey as people give them: `-p 80,udp:53,icmp-echo` and `--probe NAME:option=value`.
 * Ports without a probe are those of the first `--probe`.
 */
import { readFileSync } from 'node:fs';
import { describeError, Fault } from '../../../shared/base/faults.js';
import { type ProbePort, parsePorts, portIn, probePort } from '../../../shared/net/ports.js';
import type { RecordColumn } from '../../../shared/net/record-column.js';
import type { Probe, ProbeOptions } from '../../../shared/probe/probe.js';
import { parseOptions } from '../../../shared/probe/probe-options.js';
import { probeNamed, ZMAP_NAMES } from '../../../shared/probe/probe-registry.js';
import type { ProbeChoice } from '../../../shared/probe/probe-set.js';
import { PAIR_WORDS } from '../../../shared/survey/lists/pair-list.js';
import { printNote } from '../output/print.js';
import { replaceTop } from './top-ports.js';

/** The ports of one probe, as people give them; if no probe is named, they belong to the survey's first probe. */
export interface PortEntry {
  readonly probe: string | undefined;
  /** `80`, `1-1024`, `!22`, `*`, `top:10`; empty if the probe has no ports. */
  readonly items: readonly string[];
}

export const DEFAULT_PROBE = 'tcp-syn';
const PORTS_FLAG = '--ports';
const PROBE_FLAG = '--probe';
/** `udp:53`, `icmp-echo`; anything else is a port of the default probe. */
const ENTRY = /^([a-z][\w-]*)(?::(.*))?$/;
/** Octets of a payload file. */
const PAYLOAD_FILE_MAX = 1400;

/** Reads `80,443,udp:53,icmp-echo`, with `top:N`. @throws Fault BAD_OPTION naming the item */
export function parsePortEntries(text: string): readonly PortEntry[] {
  const items = new Map<string | undefined, string[]>();
  for (const item of text.split(',').map((part) => part.trim())) {
    const match = item.startsWith('top:') ? null : ENTRY.exec(item);
    const name = match?.[1];
    if (name !== undefined) refuseUnfit(probeNamed(name), match?.[2], item);
    const ports = match === null ? [item] : match[2] === undefined ? [] : [match[2]];
    items.set(name, [...(items.get(name) ?? []), ...ports]);
  }
  const bare = items.get(undefined) ?? [];
  if (items.size > 1 && bare.length > 0 && bare.every((item) => item.startsWith('!'))) {
    const [value = ''] = bare;
    const reason =
      'excludes ports of the first probe, but no ports of it are included: ' +
      `write NAME:${value} or *,${value}`;
    throw new Fault('BAD_OPTION', reason, { value });
  }
  const entries = [...items].map(([probe, listed]) => ({ probe, items: listed }));
  // The result is not used: this call only finds mistakes early. The ranking of `top:N` depends on the
  // first probe, which is not known yet.
  for (const entry of entries) portsOf(entry, DEFAULT_PROBE);
  return entries;
}

function portsOf({ probe, items }: PortEntry, first: string): readonly number[] {
  if (items.length === 0) return [];
  const protocol = (probe ?? first).replace(/-.*/, '');
  return parsePorts(replaceTop(items, protocol));
}

function refuseUnfit({ name, hasPorts }: Probe, ports: string | undefined, value: string): void {
  if (hasPorts === (ports !== undefined)) return;
  const reason = hasPorts ? `${name} needs ports, such as ${name}:53` : `${name} has no ports`;
  throw new Fault('BAD_OPTION', reason, { flag: PORTS_FLAG, value });
}

/**
 * Reads `NAME` or `NAME:option=value,option=value`; ZMap's names of its modules are known, too.
 * @throws Fault BAD_OPTION or UNREADABLE_FILE
 */
export function parseProbe(text: string): ProbeChoice {
  const [given = '', ...rest] = text.split(':');
  const name = ZMAP_NAMES.get(given) ?? given;
  if (name !== given) printNote(`ZMap's ${given} is ${name} here`);
  const probe = probeNamed(name);
  const items = rest.length === 0 ? [] : rest.join(':').split(',');
  const pairs = items.map((item) => {
    const at = item.indexOf('=');
    if (at > 0) return [item.slice(0, at), optionValue(item.slice(at + 1))] as const;
    const reason = 'options of a probe are name=value, separated by commas';
    throw new Fault('BAD_OPTION', reason, { flag: PROBE_FLAG, value: item });
  });
  const options = Object.fromEntries(pairs);
  parseOptions(probe, options);
  return { name, options };
}

/** `@FILE` stands for the octets of a file. */
function optionValue(text: string): string {
  if (!text.startsWith('@')) return text;
  const file = text.slice(1);
  let octets: Buffer;
  try {
    octets = readFileSync(file);
  } catch (cause) {
    const reason = `cannot read the payload: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag: PROBE_FLAG, file }, cause);
  }
  if (octets.length <= PAYLOAD_FILE_MAX) return `hex:${octets.toString('hex')}`;
  const reason = `a payload may have at most ${PAYLOAD_FILE_MAX} octets, but this file has ${octets.length}`;
  throw new Fault('BAD_OPTION', reason, { flag: PROBE_FLAG, file });
}

export interface ProbesAndPorts {
  readonly probes: readonly ProbeChoice[];
  /** Ascending. */
  readonly ports: readonly ProbePort[];
}

/**
 * The probes of a survey and the ports of each. A probe whose options depend on the port (UDP: its payload)
 * becomes several probes, one per set of options. The probe of each pair is set in its record.
 * @throws Fault BAD_OPTION
 */
export function resolveProbes(
  entries: readonly PortEntry[],
  given: readonly ProbeChoice[],
  pairs: readonly RecordColumn[],
): ProbesAndPorts {
  const [first = { name: DEFAULT_PROBE, options: {} }] = given;
  const fallback = probeNamed(first.name);
  const hasPairs = pairs.some(({ size }) => size > 0);
  const implied = entries.length === 0 && !fallback.hasPorts && !hasPairs;
  const named = implied ? [{ probe: first.name, items: [] }] : entries;
  refuseRepeated(given);
  refuseUnused(named, given, hasPairs);
  const probes: ProbeChoice[] = [];
  const indices = new Map<string, number>();
  const indexOf = (name: string, port: number): number => {
    const probe = probeNamed(name);
    const wanted = given.find((choice) => choice.name === name)?.options ?? {};
    const options = optionsFor(probe, wanted, port);
    const key = JSON.stringify([name, options]);
    const known = indices.get(key);
    if (known !== undefined) return known;
    indices.set(key, probes.length);
    probes.push({ name, options });
    return probes.length - 1;
  };
  const ports = named.flatMap((entry) => {
    const name = entry.probe ?? first.name;
    const listed = portsOf(entry, first.name);
    if (listed.length > 0 && !probeNamed(name).hasPorts) {
      const value = entry.items.join(',');
      throw new Fault('BAD_OPTION', `${name} has no ports`, { flag: PORTS_FLAG, value });
    }
    const all = listed.length > 0 ? listed : [0];
    return all.map((port) => probePort(indexOf(name, port), port));
  });
  if (hasPairs && !fallback.hasPorts) {
    throw new Fault('BAD_OPTION', `pairs need a probe with ports`, {
      flag: PROBE_FLAG,
      value: first.name,
    });
  }
  setProbes(pairs, (port) => indexOf(first.name, port));
  return { probes, ports: [...new Set(ports)].sort((a, b) => a - b) };
}

/** Sets the probe of each pair, which depends on its port. */
function setProbes(pairs: readonly RecordColumn[], probeFor: (port: number) => number): void {
  const codes = new Map<number, number>();
  const codeOf = (port: number) => {
    const known = codes.get(port) ?? probePort(probeFor(port), port);
    codes.set(port, known);
    return known;
  };
  for (const { words } of pairs) {
    for (let at = PAIR_WORDS - 1; at < words.length; at += PAIR_WORDS) {
      words[at] = codeOf(portIn(words[at] as number));
    }
  }
}

function optionsFor(probe: Probe, wanted: ProbeOptions, port: number): ProbeOptions {
  const options = parseOptions(probe, wanted);
  return probe.optionsForPort?.(port, options) ?? options;
}

/** Refuses a probe that is given twice, because a survey sends each probe with one set of options. */
function refuseRepeated(given: readonly ProbeChoice[]): void {
  const repeated = given.find(({ name }, i) => given.findIndex((other) => other.name === name) < i);
  if (repeated === undefined) return;
  const reason = 'is given twice: a survey sends each probe with one set of options';
  throw new Fault('BAD_OPTION', reason, { flag: PROBE_FLAG, value: repeated.name });
}

/** Refuses a probe that is given, but is not sent: its options must be a mistake. */
function refuseUnused(
  entries: readonly PortEntry[],
  given: readonly ProbeChoice[],
  hasPairs: boolean,
): void {
  const [first] = given;
  for (const choice of given) {
    const isFallback = choice === first && hasPairs;
    const isSent = entries.some(({ probe }) => (probe ?? first?.name) === choice.name);
    if (isSent || isFallback || (entries.length === 0 && !hasPairs)) continue;
    const { hasPorts } = probeNamed(choice.name);
    const example = hasPorts ? `${choice.name}:53` : choice.name;
    const reason = `is given, but no port uses it: add it to the ports, such as -p ${example}`;
    throw new Fault('BAD_OPTION', reason, { flag: PROBE_FLAG, value: choice.name });
  }
}
