/**
 * A container engine for one test: dockerd in the network namespace that the test has entered, with mount
 * and PID namespaces of its own, so that one kill ends all of it. Images are made of this machine's own
 * programs; no registry is used.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { getContainerRuntimeClient } from 'testcontainers';

const CGROUPS = '/sys/fs/cgroup';
/** Mounts a tmpfs where dockerd would leave files on the machine: /run/docker and /etc/docker/key.json. */
const PRIVATE_MOUNTS =
  'mkdir -p /etc/docker && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/docker && exec "$@"';
const READY_MILLIS = 20_000;

/** The reason why Docker is not available; undefined if it is. */
export function dockerIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'a container engine needs root';
  return existsSync('/usr/sbin/dockerd') ? undefined : 'dockerd is not installed (docker.io)';
}

export class OwnDocker {
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#child = child;
  }

  /**
   * Starts a container engine. Call it only after `enterOwnNetwork`, so that dockerd's bridges and firewall
   * rules do not appear on the machine.
   */
  static async start(): Promise<OwnDocker> {
    sweep();
    const folder = mkdtempSync(`/tmp/own-docker-${process.pid}-`); // paths of sockets must be short
    writeFileSync(join(folder, 'daemon.json'), '{}');
    const socket = join(folder, 'docker.sock');
    const log = openSync(join(folder, 'log'), 'w');
    const own = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const flags = [
      ...['--config-file', join(folder, 'daemon.json'), '--data-root', join(folder, 'data')],
      ...['--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')],
      ...['-H', `unix://${socket}`, '--storage-driver', 'overlay2', '--userland-proxy=false'],
      ...['--cgroup-parent', `/${basename(folder)}`],
    ];
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', ...own, 'sh', '-c', PRIVATE_MOUNTS, 'sh', 'dockerd', ...flags],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    const docker = new OwnDocker(folder, child);
    for (const end = Date.now() + READY_MILLIS; !(await answers(socket)); ) {
      if (child.exitCode !== null || Date.now() > end) {
        throw new Error(readFileSync(join(folder, 'log'), 'utf8').slice(-4000));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.env['DOCKER_HOST'] = `unix://${socket}`;
    process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
    process.env['TESTCONTAINERS_HOST_OVERRIDE'] = '127.0.0.1';
    return docker;
  }

  /** Makes an image of one program of this machine, its libraries and a shell. */
  async image(repo: string, tag: string, program: string): Promise<void> {
    const root = mkdtempSync(join(this.#folder, 'root-'));
    const put = (file: string) => {
      mkdirSync(join(root, dirname(file)), { recursive: true });
      copyFileSync(file, join(root, file));
    };
    for (const folder of ['bin', 'tmp', 'data', 'etc']) mkdirSync(join(root, folder));
    put(program);
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' });
    for (const [, library] of libraries.matchAll(/(\/\S+) \(0x/g)) put(library as string);
    copyFileSync('/usr/bin/busybox', join(root, 'bin/busybox'));
    symlinkSync('busybox', join(root, 'bin/sh'));
    const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { dockerode } = (await getContainerRuntimeClient()).container;
    const changes = [`ENTRYPOINT ["${program}"]`];
    const progress = await dockerode.importImage(tar.stdout, { repo, tag, changes } as object);
    for await (const _ of progress) {
      // Discards Docker's progress messages; the import is done when they end.
    }
  }

  /** Ends the engine and all of its processes. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      // unshare's child is process 1 of the PID namespace: once it has been reaped, all others are gone.
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      const [init] = children.split(' ');
      if (init) process.kill(Number(init), 'SIGKILL');
      else child.kill('SIGKILL');
      await exit;
    }
    remove(this.#folder);
  }
}

/** Removes what killed tests have left: files, and control groups without processes. */
function sweep(): void {
  for (const name of readdirSync('/tmp')) {
    const pid = /^own-docker-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(join('/tmp', name));
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  const controllers = existsSync(CGROUPS) ? readdirSync(CGROUPS) : [];
  for (const parent of [CGROUPS, ...controllers.map((name) => join(CGROUPS, name))]) {
    const group = join(parent, basename(folder));
    if (existsSync(group)) removeGroup(group);
  }
}

function removeGroup(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(group, entry.name));
  }
  rmdirSync(group);
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/_ping' }, (reply) => {
      reply.resume();
      resolve(reply.statusCode === 200);
    });
    asked.on('error', () => resolve(false)).end();
  });
}
