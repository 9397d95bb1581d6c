/** Runs the two programs as a user would, and returns their output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../..', import.meta.url).pathname;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Run {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** Resolves once stderr matches. */
  says(pattern: RegExp): Promise<void>;
}

export function start(
  program: 'transect' | 'transect-agent',
  args: readonly string[],
  cwd: string,
): Run {
  const child = spawn(join(ROOT, program), args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let waiting: (() => void)[] = [];
  child.stdout.on('data', (text: Buffer) => {
    stdout += text;
  });
  child.stderr.on('data', (text: Buffer) => {
    stderr += text;
    for (const look of waiting) look();
  });
  const outcome = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (pattern.test(stderr)) resolve();
      };
      waiting = [...waiting, look];
      look();
      outcome.then(({ code }) =>
        reject(new Error(`ended with ${code} before ${pattern}: ${stderr}`)),
      );
    });
  return { child, outcome, says };
}

/** A folder that is removed after the test. */
export async function scratch(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'transect-e2e-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Starts a listener on every address of this host; ends it when disposed. */
/** The folder of the only survey in a data folder. */
export async function surveyIn(data: string): Promise<string> {
  const names = (await readdir(data)).filter((name) => !name.includes('.'));
  if (names.length !== 1) throw new Error(`${data} has ${names.length} surveys`);
  return join(data, names[0] ?? '');
}

export async function listenOn(port: number): Promise<Disposable> {
  const child = spawn('setpriv', [
    ...['--pdeathsig', 'KILL', process.execPath],
    ...[join(ROOT, 'test/support/listener.mjs'), String(port)],
  ]);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the listener ended with ${code}`)));
  });
  return { [Symbol.dispose]: () => void child.kill('SIGKILL') };
}
