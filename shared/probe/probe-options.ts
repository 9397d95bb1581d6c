/** Options of probes: read from text, checked against the probe's own table, completed with its defaults. */
import { describeError, Fault } from '../base/faults.js';
import type { Probe, ProbeOption, ProbeOptions } from './probe.js';

const FLAG = '--probe';

/** The given options, completed with defaults. @throws Fault BAD_OPTION that names a bad one */
export function parseOptions(probe: Probe, given: ProbeOptions): ProbeOptions {
  const options: Record<string, string> = {};
  for (const { name, fallback } of probe.options) options[name] = fallback;
  for (const [name, value] of Object.entries(given)) {
    const option = probe.options.find((candidate) => candidate.name === name);
    if (option === undefined) {
      const names = probe.options.map((candidate) => candidate.name).join(', ') || 'none';
      const reason = `${probe.name} has no such option; it has: ${names}`;
      throw new Fault('BAD_OPTION', reason, { flag: FLAG, value: name });
    }
    try {
      option.check(value);
    } catch (error) {
      const details = { flag: FLAG, value: `${probe.name}:${name}=${value}` };
      throw new Fault('BAD_OPTION', describeError(error), details, error);
    }
    options[name] = value;
  }
  return options;
}

/** The option `ttl` of all probes whose IP header we write ourselves; its default is that of Linux. */
export const TTL: ProbeOption = {
  name: 'ttl',
  fallback: '64',
  about: 'time to live, or hop limit: 1 … 255',
  check: (value) => wholeNumber(value, 1, 255),
};

/** An option whose value is one of several words. */
export function choice(
  name: string,
  words: readonly string[],
  fallback: string,
  about: string,
): ProbeOption {
  const check = (value: string) => {
    if (words.includes(value)) return;
    throw new Fault('BAD_OPTION', `no such ${name}; there are: ${words.join(', ')}`);
  };
  return { name, fallback, about: `${about}: ${words.join(', ')}`, check };
}

/** @throws Fault BAD_OPTION unless the text is a whole number within the bounds */
export function wholeNumber(text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new Fault('BAD_OPTION', `not a whole number from ${least} to ${most}`);
}
