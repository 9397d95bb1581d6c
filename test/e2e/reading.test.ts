/** Carries out the walk-throughs of docs/reading.md in a copy of this repository. */
import { execFileSync, spawn } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LongLife } from '../support/long-life.js';
import { scratch } from '../support/scan.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const METRICS_PORT = 28_470;
const STEP_MILLIS = 120_000;
/** Printed after the output of each command. */
const END = '--end-of-output--';

/** A fenced block: its info string and its lines. */
interface Block {
  readonly info: string;
  readonly text: string;
}

const page = await readFile(join(ROOT, 'docs/reading.md'), 'utf8');
const walkThroughs = page
  .slice(page.indexOf('\n## Walk-throughs'))
  .split('\n### ')
  .slice(1)
  .map((section) => ({ title: section.split('\n')[0] ?? '', blocks: blocksOf(section) }));

function blocksOf(section: string): Block[] {
  const found = section.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm);
  return [...found].map(([, info = '', text = '']) => ({ info, text }));
}

/** Commands, each with its expected output; a line that ends with a backslash continues. */
function commandsOf(text: string): { command: string; output: string }[] {
  const joined = text.replace(/\\\n\s*/g, '');
  const steps = joined.split(/^\$ /m).slice(1);
  return steps.map((step) => {
    const [command = '', ...output] = step.split('\n');
    return { command, output: output.join('\n') };
  });
}

describe('the walk-throughs of docs/reading.md', () => {
  let copy: Awaited<ReturnType<typeof scratch>>;
  let system: LongLife;

  const run = (script: string, millis = STEP_MILLIS) =>
    new Promise<string>((resolve, reject) => {
      const child = spawn('bash', ['-c', script], {
        cwd: copy.path,
        env: { ...process.env, ...system?.environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: millis,
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (text: Buffer) => {
        stdout += text;
      });
      child.stderr.on('data', (text: Buffer) => {
        stderr += text;
      });
      child.once('close', (code) =>
        code === 0 ? resolve(stdout) : reject(new Error(`${script}\n${stdout}${stderr}`)),
      );
    });

  beforeAll(async () => {
    copy = await scratch();
    const tracked = execFileSync(
      'git',
      ['ls-files', '--cached', '--others', '--exclude-standard'],
      {
        cwd: ROOT,
      },
    );
    for (const file of tracked.toString().trim().split('\n')) {
      await mkdir(dirname(join(copy.path, file)), { recursive: true });
      await cp(join(ROOT, file), join(copy.path, file));
    }
    await symlink(join(ROOT, 'node_modules'), join(copy.path, 'node_modules'));
    for (const { blocks } of walkThroughs) for (const block of blocks) await apply(block);
    await run(
      'npm run -s build && npx tsc --noEmit && npx biome check . && npm run -s check:imports',
    );
    system = await LongLife.start(copy.path, METRICS_PORT);
  }, 2 * STEP_MILLIS);

  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
    await copy[Symbol.asyncDispose]();
  });

  const apply = async ({ info, text }: Block) => {
    const [kind, file] = info.split(' ');
    if (kind === 'diff') await patch(text);
    else if (file !== undefined) await writeFile(join(copy.path, file), text, { flag: 'wx' });
  };

  /** Replaces the old lines of each hunk by the new ones. The old lines must occur once in the named file. */
  const patch = async (diff: string) => {
    const [, file = ''] = /^\+\+\+ (\S+)$/m.exec(diff) ?? [];
    const path = join(copy.path, file);
    let content = await readFile(path, 'utf8');
    for (const hunk of diff.split(/^@@\n/m).slice(1)) {
      const lines = hunk.split('\n').slice(0, -1);
      const side = (omit: string) =>
        lines
          .filter((line) => !line.startsWith(omit))
          .map((line) => line.slice(1))
          .join('\n');
      expect(content.split(side('+')), `${file}: ${hunk}`).toHaveLength(2);
      content = content.replace(side('+'), () => side('-'));
    }
    await writeFile(path, content);
  };

  test('are those for a probe, a sink and a command', () => {
    const titles = walkThroughs.map(({ title }) => title);
    expect(titles).toEqual(['Add a probe', 'Add a sink', 'Add a command']);
  });

  test.each(walkThroughs.map(({ title, blocks }) => [title, blocks] as const))(
    '%s: its commands print what the page says',
    async (_title, blocks) => {
      const consoles = blocks.filter(({ info }) => info === 'console');
      expect(consoles.length).toBeGreaterThan(0);
      for (const { text } of consoles) {
        const steps = commandsOf(text);
        const script = steps.map(({ command }) => `${command}\nprintf %s ${END}`).join('\n');
        const outputs = (await run(script)).split(END);
        expect(outputs.slice(0, -1)).toEqual(steps.map(({ output }) => output));
      }
    },
    STEP_MILLIS,
  );
});
