/** The policy file of a host: /etc/transect/agent.yaml. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { readSigners } from '../../shared/authorization/allowed-signers.js';
import type { Millis } from '../../shared/base/brand.js';
import { describeError, Fault, located } from '../../shared/base/faults.js';
import type { PortRange } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { probeNamed } from '../../shared/probe/probe-registry.js';
import { readListFile } from '../../shared/survey/lists/list-file.js';
import { parseBlock, type RuleList, RuleListReader } from '../../shared/survey/lists/rule-list.js';
import { Blocklist } from '../../shared/survey/policy/blocklist.js';
import {
  blockedSpecialIpv4,
  blockedSpecialIpv6,
} from '../../shared/survey/policy/special-purpose-policy.js';
import { parseDuration, parseRate } from '../../shared/survey/quantities.js';
import { type HostPolicy, NO_POLICY } from './host-policy.js';

const scalar = z.union([z.string(), z.number()]).transform(String);
const texts = z.union([scalar.transform((text) => [text]), z.array(scalar)]);
const block = z.union([scalar, z.strictObject({ file: z.string() })]);
const shape = z.strictObject({
  signers: z.string().optional(),
  coordinators: texts.optional(),
  allow: texts.optional(),
  deny: z.union([block.transform((one) => [one]), z.array(block)]).optional(),
  special: texts.optional(),
  ports: texts.optional(),
  probes: texts.optional(),
  maxRate: scalar.optional(),
  maxSurveys: z.number().int().min(1).optional(),
  needContact: z.boolean().optional(),
  maxValidity: scalar.optional(),
});

/** @throws Fault UNREADABLE_FILE, BAD_OPTION or BAD_LIST, with the file and, if known, line and value */
export async function readPolicy(file: string, flag: string): Promise<HostPolicy> {
  const given = parse(textOf(file, flag), file);
  const at = <Value>(key: string, read: () => Value): Value =>
    located({ flag: `${flag}, ${key}`, file }, read);
  const beside = (path: string) => resolve(dirname(file), path);
  const { signers, maxRate, maxValidity } = given;
  const probes = given.probes?.map((name) => at('probes', () => probeNamed(name).name));
  return {
    ...NO_POLICY,
    ...(signers !== undefined && {
      signers: readSigners(beside(signers)),
    }),
    ...(given.coordinators && {
      coordinators: at('coordinators', () => given.coordinators?.map(parseFingerprint)),
    }),
    forbidden: await forbidden(given, at, beside),
    ...(given.ports && { ports: at('ports', () => given.ports?.map(parsePortRange) ?? []) }),
    probes,
    ...(maxRate !== undefined && { maxRate: at('maxRate', () => parseRate(maxRate)) }),
    ...(given.maxSurveys !== undefined && { maxSurveys: given.maxSurveys }),
    needContact: given.needContact ?? false,
    ...(maxValidity !== undefined && {
      maxValidity: at('maxValidity', () => parseDuration(maxValidity)) as Millis,
    }),
  };
}

/** @throws Fault BAD_OPTION */
function parseFingerprint(text: string): string {
  if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) return text;
  const reason =
    'a key is named by its fingerprint, SHA256:…, which its coordinator logs at its start';
  throw new Fault('BAD_OPTION', reason, { value: text });
}

/** Addresses outside `allow`, those of `deny`, and special-purpose ones outside `special`. */
async function forbidden(
  { allow, deny = [], special }: z.infer<typeof shape>,
  at: <Value>(key: string, read: () => Value) => Value,
  beside: (path: string) => string,
): Promise<Blocklist> {
  const denied: RuleList[] = [];
  for (const item of deny) {
    if (typeof item === 'string') denied.push(at('deny', () => parseBlock(item, 'deny')));
    else denied.push(await readDenied(beside(item.file)));
  }
  const list = Blocklist.of(denied);
  const isListed = special !== undefined;
  let ipv4 = isListed
    ? list.ipv4.union(at('special', () => blockedSpecialIpv4(special)))
    : list.ipv4;
  let ipv6 = isListed
    ? list.ipv6.union(at('special', () => blockedSpecialIpv6(special)))
    : list.ipv6;
  if (allow !== undefined) {
    const allowed = Blocklist.of(at('allow', () => allow.map((text) => parseBlock(text, 'allow'))));
    ipv4 = ipv4.union(Ranges.of([{ from: 0, to: 2 ** 32 }]).subtract(allowed.ipv4));
    ipv6 = ipv6.union(Ranges6.of([{ words: [0, 0, 0, 0], length: 0 }]).subtract(allowed.ipv6));
  }
  return Blocklist.ofRanges(ipv4, ipv6);
}

async function readDenied(file: string): Promise<RuleList> {
  const reader = new RuleListReader(file);
  await readListFile(reader, file, 'deny');
  return reader.list;
}

function parse(text: string, file: string): z.infer<typeof shape> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = lines.linePos(error.pos[0]).line;
    throw new Fault('BAD_OPTION', error.message.split('\n')[0] ?? 'not YAML', { file, line });
  }
  const checked = shape.safeParse(document.toJS() ?? {});
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const key = issue?.code === 'unrecognized_keys' ? issue.keys[0] : String(issue?.path[0] ?? '');
  throw new Fault('BAD_OPTION', issue?.message ?? 'not a policy', { file, value: key });
}

/** `443`, or `1-1024`. */
function parsePortRange(text: string): PortRange {
  const [, low = '', high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text.trim()) ?? [];
  const [from, to] = [Number(low), Number(high)];
  if (low !== '' && from <= to && to <= 65_535) return { from, to: to + 1 };
  throw new Fault('BAD_OPTION', 'ports are given as 443 or 1-1024', { value: text });
}

function textOf(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = `cannot read the file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { flag, file }, cause);
  }
}
