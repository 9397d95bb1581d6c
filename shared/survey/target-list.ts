/** Target ranges as people give them: on the command line, in a survey file, or in list files. */
import type { FaultDetails } from '../base/faults.js';
import { parseRange } from '../net/prefix.js';
import type { Range } from '../net/ranges.js';
import { located, readStrictly } from './list-lines.js';
import { parseWindow, type Window } from './space/window.js';

/** A range of IPv4, or an IPv6 window, prefix or address. */
export type Extent =
  | { readonly family: 4; readonly range: Range }
  | { readonly family: 6; readonly window: Window };

export interface TargetEntry {
  readonly extent: Extent;
  /** The place where it was given: flag, file, line. */
  readonly location: FaultDetails;
}

/** Reads a target given with a flag or a key of a survey file. @throws Fault BAD_OPTION */
export function parseTarget(text: string, flag: string): TargetEntry {
  const location = { flag, value: text };
  return { extent: located(location, () => parseExtent(text.trim())), location };
}

/** Reads a list of targets. @throws Fault BAD_LIST with file, line and value */
export function parseTargetList(text: string, file: string): TargetEntry[] {
  return readStrictly(text, file, (value, location) => ({ extent: parseExtent(value), location }));
}

/** A bare IPv6 address is a prefix of 128 bits. */
function parseExtent(text: string): Extent {
  if (!text.includes(':')) return { family: 4, range: parseRange(text) };
  const prefix = text.includes('/') ? text : `${text}/128`;
  return { family: 6, window: parseWindow(prefix, '') };
}
