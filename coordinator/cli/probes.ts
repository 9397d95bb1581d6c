/** `transect probes`: the probes, with their options, classes, what silence means, and what they need. */
import type { Command } from 'commander';
import { command, option } from '../../shared/command/program.js';
import type { Probe } from '../../shared/probe/probe.js';
import { PROBES, probeNamed } from '../../shared/probe/probe-registry.js';
import { printOut } from './output/print.js';

const LABEL_LETTERS = 10;

export function probesCommand(): Command {
  const made = command('probes', 'list the probes, their options and the classes of their replies');
  made.argument('[name]', 'one probe');
  return made.addOption(option('--json', 'print JSON')).action(probes);
}

async function probes(name: string | undefined, flags: { json?: boolean }): Promise<void> {
  const chosen = name === undefined ? PROBES : [probeNamed(name)];
  const text = flags.json ? JSON.stringify(chosen.map(plain)) : chosen.map(describe).join('\n\n');
  await printOut(text);
}

function plain(probe: Probe): object {
  const { name, about, families, hasPorts, classes, silence, cookieBits } = probe;
  const options = probe.options.map(({ name: option, fallback, about: text }) => {
    return { name: option, fallback, about: text };
  });
  const needs = needsOf(probe);
  return { name, about, families, hasPorts, classes, silence, cookieBits, options, needs };
}

function describe(probe: Probe): string {
  const { name, about, families, hasPorts, classes, silence, cookieBits, options } = probe;
  const lines: (readonly [string, string])[] = [
    ['targets', hasPorts ? `-p ${name}:PORTS` : `-p ${name}`],
    ['over', families.map((family) => `IPv${family}`).join(', ')],
    ...classes.map(
      ({ name: reply, state, isSuccess }, i) =>
        [i === 0 ? 'replies' : '', `${reply}: ${state}${isSuccess ? ' (success)' : ''}`] as const,
    ),
    ['silence', silence],
    ['proof', `bits of a reply: ${cookieBits.reply}; of an ICMP error: ${cookieBits.quote}`],
    ['needs', needsOf(probe)],
    ...options.map(
      ({ name: option, fallback, about: text }, i) =>
        [i === 0 ? 'options' : '', `${option}=${fallback}: ${text}`] as const,
    ),
  ];
  const indented = lines.map(([label, text]) => `  ${label.padEnd(LABEL_LETTERS)}${text}`);
  return [`${name}: ${about}`, ...indented].join('\n');
}

function needsOf({ kind }: Probe): string {
  return kind === 'connection' ? 'no capability' : 'CAP_NET_RAW';
}
