/**
 * The kernel's routes, all tables, read through `ip` (iproute2) line by line: there may be a million of
 * them. One line is
 *
 *     [TYPE] PREFIX [via [inet6] GATEWAY] [dev NAME] [table N] … [metric N] [\ nexthop via … dev … weight N]…
 */
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { describeError, Fault } from '../../../shared/base/faults.js';
import { findProgram } from '../../../shared/host/programs.js';
import type { Family } from '../../../shared/probe/probe.js';
import type { Entry } from './partition.js';

const run = promisify(execFile);

const MAIN_TABLE = 254;
const ANSWER_OCTETS = 64 * 1024 * 1024;
const BITS = { 4: 32n, 6: 128n } as const;

/** The next hop of some destinations. */
export type Hop =
  | {
      readonly kind: 'hop';
      readonly device: string;
      /** Undefined if the destinations are neighbours on the link. */
      readonly gateway: string | undefined;
      /**
       * The source address that the route sets (`src`), or the IPv6 prefix of an address of this host, whose
       * neighbours are asked from that address; undefined if neither applies. Destinations that differ in it
       * are served from different addresses.
       */
      readonly source: string | undefined;
    }
  /** A null route, with its type, such as `blackhole`. */
  | { readonly kind: 'null'; readonly type: string }
  /** A throw route: the lookup continues with the next rule. */
  | { readonly kind: 'throw' };

export type RouteEntry = Entry<bigint, Hop>;

/** The words of a line of `ip`, or of a part of it. */
type Tokens = readonly string[];

/** `proto` of routes to the prefixes of our own addresses: kernel (2) and router advertisement (9), rtnetlink(7). */
const CONNECTED_PROTOCOLS = ['2', 'kernel', '9', 'ra'];
const NULL_TYPES = ['unreachable', 'prohibit', 'blackhole', 'broadcast', 'multicast'];
/** Route types by number (rtnetlink(7)), as `ip -N` prints them. */
const TYPES = [
  'unspecified',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
];

/**
 * Routes by table number.
 * @param device if given, only null routes, throw routes and routes through this interface are read
 * @throws Fault NO_ROUTE if they cannot be read
 */
export async function readRoutes(
  family: Family,
  device: string | undefined,
): Promise<ReadonlyMap<number, RouteEntry[]>> {
  const tables = new Map<number, RouteEntry[]>();
  // Equal hops share one object, so that adjacent routes to the same hop can be joined.
  const hops = new Map<string, Hop>();
  const shared = (hop: Hop) => {
    const key = JSON.stringify(hop);
    const known = hops.get(key) ?? hop;
    hops.set(key, known);
    return known;
  };
  for await (const line of ipLines(['-o', '-N', `-${family}`, 'route', 'show', 'table', 'all'])) {
    const read = parseRoute(line, family, device);
    if (read === undefined) continue;
    const entry = { ...read.entry, value: shared(read.entry.value) };
    const table = tables.get(read.table);
    if (table === undefined) tables.set(read.table, [entry]);
    else table.push(entry);
  }
  return tables;
}

/** @returns undefined for a route that our packets never take */
export function parseRoute(
  line: string,
  family: Family,
  device: string | undefined,
): { readonly table: number; readonly entry: RouteEntry } | undefined {
  const [own = '', ...nexthops] = line.split(/\\?\s*\bnexthop\b/);
  const words = own.replaceAll('\\', ' ').trim().split(/\s+/);
  const type = typeOf(words[0] ?? '');
  if (type !== undefined) words.shift();
  const to = words[0];
  if (to === undefined || to === '' || /\b(dead|linkdown)\b/.test(own)) return undefined;
  const table = Number(after(words, 'table') ?? MAIN_TABLE);
  const metric = Number(after(words, 'metric') ?? 0);
  const choices = nexthops.length > 0 ? nexthops.map((text) => text.trim().split(/\s+/)) : [words];
  const value = hopOf(type ?? 'unicast', { own: words, choices }, device);
  return value && { table, entry: { ...prefixOf(to, family), metric, value } };
}

/** The route type with this name or number; undefined if the word is no type. */
function typeOf(word: string): string | undefined {
  return /^\d+$/.test(word) ? TYPES[Number(word)] : TYPES.find((name) => name === word);
}

/** The next hop of a route: the first usable one if there are several, so that a flow keeps to one path. */
function hopOf(
  type: string,
  { own, choices }: { readonly own: Tokens; readonly choices: readonly Tokens[] },
  device: string | undefined,
): Hop | undefined {
  if (NULL_TYPES.includes(type)) return { kind: 'null', type };
  if (type === 'throw') return { kind: 'throw' };
  for (const words of choices) {
    if (words.some((word) => word === 'dead' || word === 'linkdown')) continue;
    // Packets to our own addresses go through the loopback interface, whichever interface these
    // addresses are assigned to.
    const isOurs = type === 'local' || type === 'anycast';
    const by = isOurs ? 'lo' : after(words, 'dev');
    if (by === undefined || (device !== undefined && by !== device)) continue;
    const via = after(words, 'via');
    const gateway = via === 'inet6' || via === 'inet' ? after(words, via) : via;
    const source = isOurs ? undefined : (after(own, 'src') ?? connectedPrefix(own, gateway));
    return { kind: 'hop', device: by, gateway, source };
  }
  return undefined;
}

/** The prefix of a route that the kernel or a router advertisement made for the link, IPv6 only. */
function connectedPrefix(route: Tokens, gateway: string | undefined): string | undefined {
  const [to] = route;
  const isConnected = CONNECTED_PROTOCOLS.includes(after(route, 'proto') ?? '');
  return isConnected && gateway === undefined && to?.includes(':') ? to : undefined;
}

function prefixOf(text: string, family: Family) {
  const [address = '', given] = text.split('/');
  const bits = BITS[family];
  const length = text === 'default' ? 0 : Number(given ?? bits);
  const whole = text === 'default' ? 0n : addressToBigInt(address, family);
  const size = 1n << (bits - BigInt(length));
  const from = whole - (whole % size);
  return { from, to: from + size, length };
}

/** @throws if the text is no address of the family */
export function addressToBigInt(text: string, family: Family): bigint {
  if (family === 4) return text.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
  const [head = '', tail] = text.split('::');
  const groups = (part: string) =>
    part.split(':').flatMap((group) => (group === '' ? [] : [BigInt(`0x${group}`)]));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const middle = new Array<bigint>(8 - first.length - last.length).fill(0n);
  return [...first, ...middle, ...last].reduce((sum, group) => (sum << 16n) | group, 0n);
}

function after(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

/** @throws Fault NO_ROUTE */
export async function ipJson<Item>(args: readonly string[]): Promise<readonly Item[]> {
  try {
    const { stdout } = await run(ipProgram(), ['-json', ...args], { maxBuffer: ANSWER_OCTETS });
    return JSON.parse(stdout || '[]') as Item[];
  } catch (cause) {
    throw ipFault(args, describeError(cause).trim().split('\n').at(-1) ?? '', cause);
  }
}

async function* ipLines(args: readonly string[]): AsyncGenerator<string> {
  const child = spawn(ipProgram(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr = (stderr + text).slice(-1000);
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('close', resolve);
  });
  yield* createInterface({ input: child.stdout });
  const code = await ended;
  if (code !== 0) throw ipFault(args, stderr.trim() || `it ended with ${code}`);
}

function ipProgram(): string {
  return findProgram('ip', 'NO_ROUTE', 'install it with: apt-get install iproute2');
}

function ipFault(args: readonly string[], reason: string, cause?: unknown): Fault {
  return new Fault('NO_ROUTE', `ip ${args.join(' ')} failed: ${reason}`, {}, cause);
}
