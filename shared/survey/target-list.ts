/**
 * Targets and exclusions as people give them: on the command line, in a survey file, or in list
 * files of ZMap's form (one range per line, `#` starts a comment, blank lines are nothing), also with
 * several on a line, parted by commas, as masscan has them. Each entry remembers where it came from, so
 * that a refusal can name its place.
 */
import { Fault, type FaultDetails } from '../base/faults.js';
import { parseIpv4 } from '../net/address.js';
import { formatIpv6, type Prefix6, parseIpv6, parsePrefix6 } from '../net/ipv6.js';
import { formatRange, parseRange } from '../net/prefix.js';
import type { Range } from '../net/ranges.js';
import { Target } from '../net/target.js';
import { parseWindow, type Window } from './space/window.js';

/** What is to be probed: a range of IPv4, or an IPv6 window, prefix or address. */
export type Extent =
  | { readonly family: 4; readonly range: Range }
  | { readonly family: 6; readonly window: Window };

/** What is to be left alone, or allowed: of any size. */
export type Block =
  | { readonly family: 4; readonly range: Range }
  | { readonly family: 6; readonly prefix: Prefix6 };

export interface TargetEntry {
  readonly extent: Extent;
  readonly place: FaultDetails;
}

export interface BlockEntry {
  readonly block: Block;
  readonly place: FaultDetails;
}

/** `ADDR:PORT` of IPv4, `[ADDR]:PORT`, or `ADDR,PORT`: an IPv6 address and a port without brackets could be either. */
const PAIR = /^(?:\[([^\]]+)\]\s*[:,]|([^,:[\]]+?)\s*[:,]|([^,[\]]+?)\s*,)\s*(\d{1,5})$/;
/** Of a target without a port, at most so many are answered for. */
const PORTS_ASKED_MAX = 100;

/** What a tolerant reading of a list gives: what was read, and the lines that could not be. */
export interface Listed {
  readonly targets: readonly Target[];
  readonly badLines: readonly number[];
}

/** Reads a target given with a flag or a key of a survey file. @throws Fault BAD_OPTION */
export function parseTarget(text: string, flag: string): TargetEntry {
  const place = { flag, value: text };
  return { extent: placed(place, () => parseExtent(text.trim())), place };
}

/** Reads an exclusion or allowance given with a flag or a key. @throws Fault BAD_OPTION */
export function parseBlock(text: string, flag: string): BlockEntry {
  const place = { flag, value: text };
  return { block: placed(place, () => blockOf(text.trim())), place };
}

/** Reads a list of targets, strictly. @throws Fault BAD_LIST with file, line and value */
export function parseTargetList(text: string, file: string): TargetEntry[] {
  return readStrictly(text, file, (value, place) => ({ extent: parseExtent(value), place }));
}

/** Reads a list of exclusions, strictly. @throws Fault BAD_LIST with file, line and value */
export function parseBlockList(text: string, file: string): BlockEntry[] {
  return readStrictly(text, file, (value, place) => ({ block: blockOf(value), place }));
}

/** The shortest text of a block. */
export function formatBlock(block: Block): string {
  if (block.family === 4) return formatRange(block.range);
  return `${formatIpv6(block.prefix.words)}/${block.prefix.length}`;
}

/** Reads a hitlist: one address per line, of either family. Bad lines are told, not fatal. */
export function parseHitlist(text: string): Listed {
  return readTolerantly(text, (value) => addressOf(value));
}

/** Reads pairs: `192.0.2.1:80`, `[2001:db8::1]:443` or `ADDRESS,PORT`, one per line, tolerantly. */
export function parsePairs(text: string): Listed {
  return readTolerantly(text, (value) => {
    const match = PAIR.exec(value);
    const port = Number(match?.[4]);
    if (match === null || port < 1 || port > 65535) {
      throw new Fault('BAD_OPTION', 'not an address and a port', { value });
    }
    const target = addressOf(match[1] ?? match[2] ?? match[3] ?? '');
    target.port = port;
    return target;
  });
}

/**
 * What `ADDR` or `ADDR:PORT` (`[ADDR]:PORT` for IPv6) asks about: without a port, every port given.
 * @throws Fault BAD_OPTION
 */
export function targetsOf(text: string, ports: readonly number[]): readonly Target[] {
  const match = /^(?:\[([^\]]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? text;
  const asked = match === null ? ports : [Number(match[3])];
  if (asked.length > PORTS_ASKED_MAX) {
    const reason = `the survey has ${asked.length} ports; ask for one, as ADDR:PORT`;
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return asked.map((port) => Object.assign(addressOf(address), { port }));
}

/** A target of one address of either family, without a port. @throws Fault BAD_OPTION */
export function addressOf(text: string): Target {
  const target = new Target();
  if (text.includes(':')) [target.w0, target.w1, target.w2, target.w3] = parseIpv6(text);
  else target.setIpv4(parseIpv4(text));
  return target;
}

function readStrictly<Entry>(
  text: string,
  file: string,
  read: (value: string, place: FaultDetails) => Entry,
): Entry[] {
  const entries: Entry[] = [];
  for (const [line, whole] of linesOf(text)) {
    for (const value of whole.split(',').map((each) => each.trim())) {
      const place = { file, line, value };
      entries.push(readPlaced(value, place, read));
    }
  }
  return entries;
}

function readPlaced<Entry>(
  value: string,
  place: FaultDetails,
  read: (value: string, place: FaultDetails) => Entry,
): Entry {
  try {
    return read(value, place);
  } catch (error) {
    throw error instanceof Fault ? new Fault('BAD_LIST', error.message, place, error) : error;
  }
}

function readTolerantly(text: string, read: (value: string) => Target): Listed {
  const targets: Target[] = [];
  const badLines: number[] = [];
  for (const [line, value] of linesOf(text)) {
    try {
      targets.push(read(value));
    } catch {
      badLines.push(line);
    }
  }
  return { targets, badLines };
}

/** Lines with something on them, with their numbers from 1. */
function* linesOf(text: string): Generator<[line: number, value: string]> {
  let line = 0;
  for (const whole of text.split('\n')) {
    line++;
    const value = (whole.split('#', 1)[0] ?? '').trim();
    if (value !== '') yield [line, value];
  }
}

function parseExtent(text: string): Extent {
  if (!text.includes(':')) return { family: 4, range: parseRange(text) };
  return { family: 6, window: parseWindow(withLength(text), '') };
}

function blockOf(text: string): Block {
  if (!text.includes(':')) return { family: 4, range: parseRange(text) };
  return { family: 6, prefix: parsePrefix6(withLength(text)) };
}

/** A bare IPv6 address is a prefix of 128 bits. */
function withLength(text: string): string {
  return text.includes('/') ? text : `${text}/128`;
}

function placed<Value>(place: FaultDetails, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof Fault ? error.at(place) : error;
  }
}
