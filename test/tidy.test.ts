/**
 * Checks everything about style that can be checked: sizes, wording, sources of time and randomness,
 * leftovers.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sourceText } from './support/source-text.js';

const ROOT = new URL('..', import.meta.url).pathname;
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
})
  .toString()
  .trim()
  .split('\n')
  .filter((file) => file.endsWith('.ts'));
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const isTest = (file: string) => file.startsWith('test/') || file.startsWith('benchmarks/');
const sources = files.filter((file) => !isTest(file) && !file.endsWith('.config.ts'));

const LINES_MAX = 300;
const TEST_LINES_MAX = 500;
const COLUMNS_MAX = 120; // the formatter aims at 100; long strings may exceed it
const FILES_PER_FOLDER_MAX = 14;
const FUNCTION_LINES_MAX = 70;

const HERE = 'test/tidy.test.ts';

/** Words that personify components or are archaic: there is a technical term for each. */
const FIGURATIVE = new RegExp(
  `\\b(${[
    'told|tells?|hears?|heard|obeys?|obeyed|deaf|whoever|whomever|anew|in vain|until when|shelf',
    'lets? go|let go of|made anew|parted|hand(?:s|ed)? back|puts? back|lent|lends?|stands? down',
    'disowns?|forsakes?|muster|goes on|go on|rubbish|befalls?|turn and turn',
  ].join('|')})\\b`,
  'i',
);

describe('the tree', () => {
  test('has no file, function or folder that is too large', () => {
    const tooLong = files.filter(
      (file) => textOf(file).split('\n').length > (isTest(file) ? TEST_LINES_MAX : LINES_MAX),
    );
    expect(tooLong).toEqual([]);
    const tooWide = sources.filter((file) =>
      textOf(file)
        .split('\n')
        .some((line) => line.length > COLUMNS_MAX),
    );
    expect(tooWide).toEqual([]);
    const folders = new Map<string, number>();
    for (const file of sources) folders.set(dirname(file), (folders.get(dirname(file)) ?? 0) + 1);
    expect([...folders].filter(([, count]) => count > FILES_PER_FOLDER_MAX)).toEqual([]);
    expect(sources.flatMap(longFunctions)).toEqual([]);
  });

  test('names its files for what is in them', () => {
    const vague = /^(utils?|helpers?|common|misc|types|index|manager)\.ts$/;
    expect(files.filter((file) => vague.test(basename(file)))).toEqual([]);
  });

  test('begins every source file with its purpose', () => {
    expect(sources.filter((file) => !textOf(file).startsWith('/**'))).toEqual([]);
  });

  test('has no comment that begins with a relative clause in place of a noun', () => {
    const opening = /^\W*(What|Who|Whoever|Whether|Where)\b/;
    const found = files.flatMap((file) =>
      sourceText(textOf(file))
        .comments.filter((comment) => opening.test(comment))
        .map((comment) => `${file}: ${comment}`),
    );
    expect(found).toEqual([]);
  });

  test('speaks of components in technical terms', () => {
    const isFigurative = (text: string) => FIGURATIVE.test(text);
    const found = files
      .filter((file) => file !== HERE)
      .flatMap((file) =>
        [...sourceText(textOf(file)).comments, ...messagesOf(file)]
          .filter(isFigurative)
          .map((text) => `${file}: ${text}`),
      );
    const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
    const pages = [...documents, 'docs/reading.md'].flatMap((file) =>
      textOf(file)
        .split('\n')
        .filter(isFigurative)
        .map((line) => `${file}: ${line}`),
    );
    expect([...found, ...pages]).toEqual([]);
  });

  test('takes time, randomness and timers only from shared/base and main.ts files', () => {
    const banned = /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval)\b/;
    const allowed = /^shared\/base\/|\/main\.ts$/;
    const found = sources.filter((file) => !allowed.test(file) && banned.test(textOf(file)));
    expect(found).toEqual([]);
  });

  test('throws every error code that it declares', () => {
    const [, table = ''] = textOf('shared/base/exit-codes.ts').split('EXIT_CODE_OF = {');
    const codes = [...table.matchAll(/^ {2}([A-Z_]+):/gm)].map(([, code = '']) => code);
    expect(codes.length).toBeGreaterThan(20);
    const elsewhere = sources.filter((file) => file !== 'shared/base/exit-codes.ts').map(textOf);
    const isThrown = (code: string) => elsewhere.some((text) => text.includes(`'${code}'`));
    expect(codes.filter((code) => !isThrown(code))).toEqual([]);
  });

  test('has every file that its documents name', () => {
    const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/reading.md'];
    const missing = pages.flatMap((page) => {
      const named = textOf(page).matchAll(
        /`((?:agent|benchmarks|coordinator|deploy|docs|proto|shared|test)\/[\w./-]+)`/g,
      );
      const paths = [...named].map(([, path = '']) => path);
      return paths.filter((path) => !existsSync(join(ROOT, path)));
    });
    expect(missing).toEqual([]);
  });

  test('has no leftover work markers, and no test that is run alone', () => {
    const marks = ['todo', 'fixme', 'xxx', 'hack'].join('|').toUpperCase();
    const leftovers = new RegExp(`\\b(${marks})\\b|\\.only\\(`);
    expect(files.filter((file) => leftovers.test(textOf(file)))).toEqual([]);
  });

  test('imports each library in one place, and nothing against the import direction', () => {
    const run = () =>
      execFileSync(
        'npx',
        ['depcruise', '--config', '.dependency-cruiser.cjs', 'shared', 'coordinator', 'agent'],
        {
          cwd: ROOT,
          stdio: 'pipe',
        },
      );
    expect(run).not.toThrow();
  });
});

/** Texts with a space in them: messages, names of tests, help. */
function messagesOf(file: string): string[] {
  return sourceText(textOf(file)).strings.filter((text) => text.includes(' '));
}

/** Functions and methods that are too long; their opening and closing lines are found by indentation. */
function longFunctions(file: string): string[] {
  const lines = textOf(file).split('\n');
  const found: string[] = [];
  for (const [start, line] of lines.entries()) {
    const opening = /^(\s*)(?:export )?(?:async )?(?:function\b|[#\w]+\(.*\).*\{$)/.exec(line);
    if (opening === null) continue;
    // A method of an object literal ends with a comma.
    const ends = [`${opening[1]}}`, `${opening[1]}},`];
    const end = lines.findIndex((candidate, i) => i > start && ends.includes(candidate));
    if (end - start > FUNCTION_LINES_MAX) found.push(`${file}:${start + 1}`);
  }
  return found;
}
