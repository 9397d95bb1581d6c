/**
 * Our source addresses. The kernel chooses by RFC 6724, which may prefer a temporary address (RFC 8981). We
 * never use one: the people who are probed could not find us by it later, and replies that come after it has
 * expired would be lost.
 */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { Words } from '../../shared/net/endpoint.js';
import {
  formatWords,
  hasPrefix,
  isMapped,
  type Prefix6,
  parseWords,
} from '../../shared/net/ipv6.js';
import type { Family } from '../../shared/probe/probe.js';
import { ipJson } from './routes/route-table.js';

/** Duplicate address detection takes 1 to 2 s by default (RFC 4862 §5.4.2: a random delay, and one probe). */
const DETECTION_MILLIS = 4000;
const DETECTION_POLL_MILLIS = 100;

/** An address of an interface, as ip-address(8) prints it. */
export interface InterfaceAddress {
  readonly local?: string;
  readonly prefixlen?: number;
  readonly scope?: string;
  readonly temporary?: boolean;
  readonly deprecated?: boolean;
  /** Not usable: duplicate address detection is still running, or has failed (RFC 4862 §5.4). */
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
}

/** The source address towards a target: the kernel's choice unless that is temporary. @throws Fault NO_ROUTE */
export async function sourceTowards(target: Words, device: string): Promise<Words> {
  // Names no output interface for one of our own addresses, because the kernel must find out by itself
  // that the address is local.
  const by = device === 'lo' ? [] : ['oif', device];
  const { prefsrc, dev = device } = await routeTo(target, by);
  if (prefsrc !== undefined)
    return (await permanentInstead(prefsrc, dev, target)) ?? parseWords(prefsrc);
  const reason = 'no source address is known for this target';
  throw new Fault('NO_ROUTE', reason, { value: formatWords(target) });
}

/** A permanent source address towards a target if the kernel would choose a temporary one, else undefined. */
export async function permanentSource(target: Words): Promise<Words | undefined> {
  // If there is no route, the kernel reports that for each connection.
  const route = await routeTo(target, []).catch(() => undefined);
  if (route?.prefsrc === undefined || route.dev === undefined) return undefined;
  return await permanentInstead(route.prefsrc, route.dev, target);
}

async function routeTo(
  target: Words,
  by: readonly string[],
): Promise<{ prefsrc?: string; dev?: string }> {
  const family = isMapped(target) ? '-4' : '-6';
  const [route] = await ipJson<{ prefsrc?: string; dev?: string }>([
    ...[family, 'route', 'get', formatWords(target), ...by],
  ]);
  return route ?? {};
}

/** @throws Fault NO_ROUTE if an interface has only temporary addresses */
async function permanentInstead(
  source: string,
  device: string,
  target: Words,
): Promise<Words | undefined> {
  if (isMapped(target)) return undefined;
  const chosen = (await addressesOf([], 6)).find(({ local }) => local === source);
  return chosen?.temporary === true ? await sourceOn(device, 6, target) : undefined;
}

/** The best address of an interface, for this target if one is given. @throws Fault NO_ROUTE */
export async function sourceOn(device: string, family: Family, target?: Words): Promise<Words> {
  const address = bestSource(await addressesOf(['dev', device], family), target);
  if (address !== undefined) return address;
  const reason = `${device} has no permanent IPv${family} address: name one with --source-ip`;
  throw new Fault('NO_ROUTE', reason, { flag: '--interface', value: device });
}

/** An address of this host whose link contains a prefix, or a part of it; undefined if there is none. */
export async function addressWithin({ words, length }: Prefix6): Promise<string | undefined> {
  return (await addressesOf([], 6)).find(({ local, scope, prefixlen = 128 }) => {
    if (local === undefined || scope !== 'global' || prefixlen === 128) return false;
    return hasPrefix(parseWords(local), { words, length: Math.min(length, prefixlen) });
  })?.local;
}

/**
 * The usable link-local addresses of an interface (RFC 4291 §2.5.6). While there is none, but one is tentative, as
 * on a link that has just come up, waits for it.
 */
export async function linkLocalsOn(device: string, clock: Clock): Promise<readonly Words[]> {
  for (let waited = 0; ; waited += DETECTION_POLL_MILLIS) {
    const addresses = await addressesOf(['dev', device], 6);
    const linkLocals = addresses.filter(({ scope }) => scope === 'link');
    const usable = linkLocals.filter(({ tentative, dadfailed }) => !tentative && !dadfailed);
    const mayFollow = linkLocals.some(({ tentative, dadfailed }) => tentative && !dadfailed);
    if (usable.length > 0 || !mayFollow || waited >= DETECTION_MILLIS) {
      return usable.flatMap(({ local }) => (local === undefined ? [] : [parseWords(local)]));
    }
    await clock.sleep(DETECTION_POLL_MILLIS);
  }
}

/**
 * The usable global address that is not deprecated (RFC 6724 §5 rule 3) and shares the longest prefix with the
 * target (rule 8); temporary ones are left out.
 */
export function bestSource(
  addresses: readonly InterfaceAddress[],
  target?: Words,
): Words | undefined {
  const usable = addresses.flatMap(
    ({ local, scope, temporary, deprecated, tentative, dadfailed }) => {
      const isUsable = scope === 'global' && !temporary && !tentative && !dadfailed;
      if (local === undefined || !isUsable) return [];
      const words = parseWords(local);
      const common = target === undefined ? 0 : commonBits(words, target);
      return [{ words, score: common + (deprecated ? 0 : 256) }];
    },
  );
  return usable.reduce<(typeof usable)[0] | undefined>(
    (best, next) => (best === undefined || next.score > best.score ? next : best),
    undefined,
  )?.words;
}

/** Length of the common prefix of two addresses, 0 to 128 bits. */
function commonBits(a: Words, b: Words): number {
  const word = a.findIndex((value, i) => value !== b[i]);
  return word < 0 ? 128 : word * 32 + Math.clz32((a[word] as number) ^ (b[word] as number));
}

async function addressesOf(
  device: readonly string[],
  family: Family,
): Promise<readonly InterfaceAddress[]> {
  const links = await ipJson<{ addr_info?: readonly InterfaceAddress[] }>([
    ...[`-${family}`, 'address', 'show', ...device],
  ]);
  return links.flatMap(({ addr_info }) => addr_info ?? []);
}

/**
 * The interfaces that have one of these addresses. Replies may arrive there although probes leave through another
 * interface (asymmetric routing).
 */
export function interfacesWith(addresses: readonly Words[]): string[] {
  const wanted = new Set(addresses.map(formatWords));
  const found = Object.entries(networkInterfaces()).filter(([, entries = []]) =>
    entries.some(({ address, internal }) => {
      return !internal && wanted.has(formatWords(parseWords(address.split('%')[0] ?? address)));
    }),
  );
  return found.map(([device]) => device);
}
