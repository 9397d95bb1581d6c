/** Survey files: YAML, each key the counterpart of a flag. Every fault names file, line and value. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { describeError, Fault } from '../../shared/base/faults.js';
import { parsePorts } from '../../shared/net/ports.js';
import { probeNamed } from '../../shared/probe/catalogue.js';
import { parseBandwidth, parseDuration, parseRate } from '../../shared/survey/quantities.js';
import { type ListEntry, parseEntry } from '../../shared/survey/target-list.js';
import { sinkNamed } from '../sink/sink.js';
import { type Draft, parseReport, readList } from './survey-options.js';

const scalar = z.union([z.string(), z.number()]).transform(String);
const listItem = z.union([scalar, z.strictObject({ file: z.string() })]);
const list = z.union([listItem.transform((item) => [item]), z.array(listItem)]);
/** What a key's text means; what its parser throws becomes an issue at that key. */
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
  name: scalar.optional(),
  targets: list,
  exclude: list.optional(),
  allowSpecial: list.optional(),
  ports: parsed(parsePorts),
  probe: parsed((name) => probeNamed(name).name).optional(),
  probeOptions: z.record(z.string(), z.number()).optional(),
  rate: parsed(parseRate).optional(),
  bandwidth: parsed(parseBandwidth).optional(),
  cooldown: parsed(parseDuration).optional(),
  seed: scalar.optional(),
  report: parsed(parseReport).optional(),
  output: parsed((name) => sinkNamed(name).name).optional(),
  contact: scalar.optional(),
  purpose: scalar.optional(),
});

type Items = z.infer<typeof list>;

/** @throws Fault UNREADABLE_FILE, BAD_SURVEY or BAD_LIST */
export async function draftOfFile(file: string): Promise<Draft> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const why = `cannot read the survey file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', why, { file }, cause);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const line = broken.linePos?.[0].line;
    throw new Fault('BAD_SURVEY', broken.message.split('\n')[0] ?? '', { file, line });
  }
  const checked = shape.safeParse(document.toJS());
  if (!checked.success) throw faultOf(checked.error.issues[0], document, lines, file);
  const { targets, exclude, allowSpecial, ...rest } = checked.data;
  const read = (key: string, items: Items | undefined) =>
    readItems(items ?? [], (index) => placeOf(document, lines, file, [key, index]));
  return {
    ...rest,
    targets: await read('targets', targets),
    exclusions: await read('exclude', exclude),
    allowSpecial: await read('allowSpecial', allowSpecial),
  };
}

async function readItems(
  items: Items,
  place: (index: number) => { file: string; line: number | undefined },
): Promise<ListEntry[]> {
  const entries: ListEntry[] = [];
  for (const [i, item] of items.entries()) {
    const { file, line } = place(i);
    if (typeof item !== 'string') {
      entries.push(...(await readList(resolve(dirname(file), item.file), `${file}:${line}`)));
      continue;
    }
    try {
      const { range } = parseEntry(item, '');
      entries.push({ range, place: { file, line, value: item } });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Fault('BAD_SURVEY', why, { file, line, value: item }, error);
    }
  }
  return entries;
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
  const { line } = placeOf(document, lines, file, at);
  const key = at.map(String).join('.');
  if (unknown !== undefined) {
    const why = `no such key; there are: ${Object.keys(shape.shape).join(', ')}`;
    return new Fault('BAD_SURVEY', why, { file, line, value: unknown });
  }
  const isMissing = path.length > 0 && document.getIn(path) === undefined;
  const why = isMissing ? 'this key is missing' : (issue?.message ?? 'not a survey');
  const params = (issue as { params?: { value?: string } } | undefined)?.params;
  const value = isMissing ? key : (params?.value ?? key);
  return new Fault('BAD_SURVEY', `${key}: ${why}`, { file, line, value });
}

/** The line on which a key or item stands, as far down its path as the file goes. */
function placeOf(document: Document, lines: LineCounter, file: string, path: readonly unknown[]) {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number] } | undefined;
    if (node?.range) return { file, line: lines.linePos(node.range[0]).line as number | undefined };
  }
  return { file, line: undefined };
}
