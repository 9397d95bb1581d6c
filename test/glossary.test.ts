/** Checks that the glossary of ARCHITECTURE.md agrees with the code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname;
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');

/**
 * The folders of the coordinator, of the agent and of their parts. Each class exported there must be in the
 * glossary.
 */
const PROGRAMS = [
  'coordinator',
  'coordinator/agents',
  'coordinator',
  'coordinator/auth',
  'coordinator/leases',
  'coordinator/sink',
  'coordinator/storage',
  'coordinator/survey',
  'agent',
  'agent/capture',
  'agent/egress',
  'agent/lease',
  'agent/replies',
  'agent/send',
  'agent/transmit',
];

/** Terms that a newcomer may search for; each must occur in the first comment of the named file. */
const SEARCHED: Record<string, string> = {
  'token bucket': 'agent/send/pacer.ts',
  'rate limit': 'agent/send/pacer.ts',
  throttle: 'coordinator/agents/agent-backoff.ts',
  backoff: 'coordinator/agents/agent-backoff.ts',
  fair: 'coordinator/agents/max-min-share.ts',
  'leader election': 'coordinator/leader-election.ts',
  fencing: 'coordinator/leader-election.ts',
  liveness: 'coordinator/agents/agent-registry.ts',
  quarantine: 'coordinator/agents/quarantine.ts',
  egress: 'agent/egress/egress.ts',
  duplicate: 'agent/replies/shard-replies.ts',
  dedup: 'agent/replies/shard-replies.ts',
  'packet loss': 'coordinator/agents/agent-backoff.ts',
  seqlock: 'agent/send/sender-control.ts',
  futex: 'agent/send/sender-control.ts',
  'shared memory': 'agent/send/sender-control.ts',
  scheduler: 'coordinator/survey/survey-dispatch.ts',
  response: 'agent/replies/reply-validator.ts',
  HKDF: 'coordinator/survey-keys.ts',
  admission: 'coordinator/admission/admission.ts',
  BPF: 'agent/capture/captures.ts',
  'SYN cookie': 'shared/probe/cookies.ts',
  'format-preserving': 'shared/permutation/permutation.ts',
  'back-pressure': 'coordinator/storage/back-pressure.ts',
  'torn write': 'coordinator/storage/journal.ts',
  'group commit': 'coordinator/storage/journal.ts',
};

type Entry = { word: string; meaning: string; file: string; term: string };

function glossary(): Entry[] {
  const text = textOf('ARCHITECTURE.md');
  const section = text.slice(text.indexOf('## Glossary'), text.indexOf('## Who knows what'));
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => {
    const [word = '', meaning = '', file = '', term = ''] = row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
    return { word, meaning, file, term };
  });
}

const EXPORT = /^export (?:abstract |async )?(?:class|interface|type|const|function) (\w+)/gm;

function filesIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => {
    const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    return names.filter((name) => /(?<!\.d)\.ts$/.test(name)).map((name) => `${folder}/${name}`);
  });
}

const wordIn = (word: string, text: string) => new RegExp(`\\b${word}\\b`).test(text);

describe('the glossary', () => {
  const entries = glossary();

  test('gives every word once, with a meaning, a file and the usual technical term', () => {
    expect(entries.length).toBeGreaterThan(60);
    const words = entries.map((entry) => entry.word);
    expect(words.filter((word, i) => words.indexOf(word) !== i)).toEqual([]);
    expect(entries.filter(({ meaning, file, term }) => !(meaning && file && term))).toEqual([]);
  });

  test('has only words that occur in the code of the file it names', () => {
    const strays = entries.filter(({ word, file }) => !wordIn(word, withoutComments(textOf(file))));
    expect(strays).toEqual([]);
  });

  test('names for each word that is exported somewhere a file that exports it', () => {
    const exported = new Map<string, string[]>();
    for (const file of filesIn(['agent', 'coordinator', 'shared'])) {
      for (const [, word = ''] of textOf(file).matchAll(EXPORT)) {
        exported.set(word, [...(exported.get(word) ?? []), file]);
      }
    }
    const strays = entries.filter(({ word, file }) => exported.get(word)?.includes(file) === false);
    expect(strays).toEqual([]);
  });

  test('has every exported class of coordinator and agent', () => {
    const known = new Map(entries.map((entry) => [entry.word, entry.file]));
    const classes = PROGRAMS.flatMap((folder) =>
      readdirSync(join(ROOT, folder))
        .filter((name) => name.endsWith('.ts'))
        .flatMap((name) => {
          const file = `${folder}/${name}`;
          const found = textOf(file).matchAll(/^export (?:abstract )?class (\w+)/gm);
          return [...found].map(([, word = '']) => ({ word, file }));
        }),
    );
    expect(classes.length).toBeGreaterThan(40);
    expect(classes.filter(({ word, file }) => known.get(word) !== file)).toEqual([]);
  });
});

describe('a search for a standard term', () => {
  test.each(Object.entries(SEARCHED))('%s finds %s', (term, file) => {
    const [header = ''] = textOf(file).split('*/');
    expect(header.toLowerCase().replace(/\s*\n \* ?/g, ' ')).toContain(term.toLowerCase());
  });
});

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
