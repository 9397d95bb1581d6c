/** Survey files: YAML; each key corresponds to a flag. Faults name the file and, if known, line and value. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Document, LineCounter, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { describeError, Fault, type FaultDetails } from '../../../shared/base/faults.js';
import type { RecordColumn } from '../../../shared/net/record-column.js';
import type { Hitlist } from '../../../shared/survey/lists/hitlist.js';
import { type RuleList, ruleListOf } from '../../../shared/survey/lists/rule-list.js';
import type { TargetList } from '../../../shared/survey/lists/target-list.js';
import {
  parseBandwidth,
  parseCount,
  parseDuration,
  parseRate,
  parseRateLimit,
} from '../../../shared/survey/quantities.js';
import { parseAliasLengths } from '../../../shared/survey/space/alias-tests.js';
import { parseName, parseSentence } from '../../../shared/survey/text.js';
import { sinkNamed } from '../../sink/sink-registry.js';
import { printNote } from '../output/print.js';
import type { SurveyDraft } from './draft.js';
import {
  parseCrossCheck,
  parsePercent,
  parseProbesPerTarget,
  parseTargetLimit,
  parseYesOrNo,
} from './limit-options.js';
import { readBlockList, readHitlist, readPairs, readTarget, readTargetList } from './lists.js';
import { parsePortEntries, parseProbe } from './probe-ports.js';
import { parseRowPolicy } from './survey-options.js';

/** Numbers are read as text: `0123` is not 123, and `1e3` is not 1000. */
const scalar = z.string();
const file = z.strictObject({ file: z.string() });
const targetItem = z.union([
  scalar,
  file,
  z.strictObject({ hitlist: z.string() }),
  z.strictObject({ pairs: z.string() }),
]);
const blockItem = z.union([scalar, file]);
const targetItems = z.union([targetItem.transform((item) => [item]), z.array(targetItem)]);
const blockItems = z.union([blockItem.transform((item) => [item]), z.array(blockItem)]);
/** Parses a key's text; an error of the parser becomes an issue at that key. */
const parsed = <Value>(parse: (text: string) => Value) =>
  scalar.transform((text, context): Value => {
    try {
      return parse(text);
    } catch (error) {
      const value = error instanceof Fault ? error.details.value : undefined;
      const message = error instanceof Error ? error.message : String(error);
      context.addIssue({ code: 'custom', message, params: { value: value ?? text } });
      return z.NEVER;
    }
  });

const shape = z.strictObject({
  name: parsed(parseName).optional(),
  targets: targetItems,
  exclude: blockItems.optional(),
  allowSpecial: blockItems.optional(),
  ports: parsed(parsePortEntries).optional(),
  probe: z
    .preprocess(
      (probe) => (probe === undefined || Array.isArray(probe) ? probe : [probe]),
      z.array(parsed(parseProbe)).optional(),
    )
    .optional(),
  probes: parsed(parseProbesPerTarget).optional(),
  detectAliases: parsed(parseYesOrNo).optional(),
  aliasLengths: z
    .preprocess(
      (lengths) => (Array.isArray(lengths) ? lengths.join(',') : lengths),
      parsed(parseAliasLengths).optional(),
    )
    .optional(),
  crossCheck: parsed(parseCrossCheck).optional(),
  maxTargets: parsed(parseTargetLimit).optional(),
  maxResults: parsed(parseCount).optional(),
  maxRuntime: parsed(parseDuration).optional(),
  minHitrate: parsed(parsePercent).optional(),
  rate: parsed(parseRateLimit).optional(),
  bandwidth: parsed(parseBandwidth).optional(),
  cooldown: parsed(parseDuration).optional(),
  seed: parsed(parseName).optional(),
  rows: parsed(parseRowPolicy).optional(),
  segmentFormat: parsed((name) => sinkNamed(name).name).optional(),
  contact: parsed(parseSentence).optional(),
  purpose: parsed(parseSentence).optional(),
  maxRatePer24: parsed(parseRate).optional(),
  maxRatePer48: parsed(parseRate).optional(),
  maxRatePer64: parsed(parseRate).optional(),
});

/** Replaces every scalar that is not text by its text in the file. */
function takeAsWritten(document: Document): void {
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value === 'string' || node.value === null) return;
      node.value = node.source ?? String(node.value);
    },
  });
}

type TargetItems = z.infer<typeof targetItems>;
type BlockItems = z.infer<typeof blockItems>;

/** @throws Fault UNREADABLE_FILE, BAD_SURVEY or BAD_LIST */
export async function draftFromFile(file: string): Promise<SurveyDraft> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const reason = `cannot read the survey file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { file }, cause);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const line = broken.linePos?.[0].line;
    throw new Fault('BAD_SURVEY', broken.message.split('\n')[0] ?? '', { file, line });
  }
  takeAsWritten(document);
  const checked = shape.safeParse(document.toJS());
  if (!checked.success) throw faultOf(checked.error.issues[0], document, lines, file);
  const { targets, exclude, allowSpecial, ...rest } = checked.data;
  const locateItem = (key: string) => (index: number) =>
    locate(document, lines, file, [key, index]);
  return {
    ...rest,
    ...(await readTargets(targets, locateItem('targets'))),
    exclusions: await readBlocks(exclude ?? [], locateItem('exclude')),
    allowSpecial: await readBlocks(allowSpecial ?? [], locateItem('allowSpecial')),
  };
}

type Locate = (index: number) => { file: string; line: number | undefined };

async function readTargets(items: TargetItems, locateItem: Locate) {
  const targets: TargetList[] = [];
  const hitlists: Hitlist[] = [];
  const pairs: RecordColumn[] = [];
  for (const [i, item] of items.entries()) {
    const { file, line } = locateItem(i);
    const at = `${file}:${line}`;
    const beside = (name: string) => resolve(dirname(file), name);
    if (typeof item === 'string') {
      const location = { file, line, value: item };
      const read = await readTarget(item, at, printNote).catch((error) => fail(error, location));
      targets.push(...read.map((list) => list.at(location)));
    } else if ('file' in item) targets.push(await readTargetList(beside(item.file), at));
    else if ('hitlist' in item) {
      hitlists.push(await readHitlist(beside(item.hitlist), at, printNote));
    } else pairs.push(await readPairs(beside(item.pairs), at, printNote));
  }
  return { targets, hitlists, pairs };
}

async function readBlocks(items: BlockItems, locateItem: Locate): Promise<RuleList[]> {
  const lists: RuleList[] = [];
  for (const [i, item] of items.entries()) {
    const { file, line } = locateItem(i);
    if (typeof item !== 'string') {
      lists.push(await readBlockList(resolve(dirname(file), item.file), `${file}:${line}`));
      continue;
    }
    const location = { file, line, value: item };
    try {
      lists.push(ruleListOf(item, location));
    } catch (error) {
      fail(error, location);
    }
  }
  return lists;
}

function fail(error: unknown, location: FaultDetails): never {
  const reason = error instanceof Error ? error.message : String(error);
  throw new Fault('BAD_SURVEY', reason, location, error);
}

function faultOf(
  issue: z.core.$ZodIssue | undefined,
  document: Document,
  lines: LineCounter,
  file: string,
): Fault {
  const path = issue?.path ?? [];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const at = unknown === undefined ? path : [...path, unknown];
  const { line } = locate(document, lines, file, at);
  const key = at.map(String).join('.');
  if (unknown !== undefined) {
    const reason = `no such key; there are: ${Object.keys(shape.shape).join(', ')}`;
    return new Fault('BAD_SURVEY', reason, { file, line, value: unknown });
  }
  const isMissing = path.length > 0 && document.getIn(path) === undefined;
  const reason = isMissing ? 'this key is missing' : (issue?.message ?? 'not a survey');
  const params = (issue as { params?: { value?: string } } | undefined)?.params;
  const value = isMissing ? key : (params?.value ?? key);
  return new Fault('BAD_SURVEY', `${key}: ${reason}`, { file, line, value });
}

/** The line of a key or item, or of its nearest parent in the file. */
function locate(document: Document, lines: LineCounter, file: string, path: readonly unknown[]) {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number] } | undefined;
    if (node?.range) return { file, line: lines.linePos(node.range[0]).line as number | undefined };
  }
  return { file, line: undefined };
}
