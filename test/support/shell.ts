/** Runs lines of shell as users type them; `$T` and `$AGENT` are the two programs. */
import { spawn } from 'node:child_process';

const ROOT = new URL('../..', import.meta.url).pathname;

export interface ShellOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param line for bash, where `$T` is transect
 * @param millis after this time, the command is killed
 */
export async function shell(
  line: string,
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
  millis = 60_000,
): Promise<ShellOutcome> {
  const env = {
    ...process.env,
    T: `${ROOT}transect`,
    AGENT: `${ROOT}transect-agent`,
    ...environment,
  };
  const child = spawn('bash', ['-c', line], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => {
    stdout += text;
  });
  child.stderr.on('data', (text: Buffer) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), millis);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, stdout, stderr };
}
