/** The probe registry: all probes. Adding one takes a file and a line here. */
import { Fault } from '../base/faults.js';
import type { Probe } from './probe.js';
import { tcpSyn } from './tcp-syn.js';

const PROBES: readonly Probe[] = [tcpSyn];

/** The probe with this name. @throws Fault BAD_OPTION that lists the names. */
export function probeNamed(name: string): Probe {
  const probe = PROBES.find((candidate) => candidate.name === name);
  if (probe === undefined) {
    const names = PROBES.map((candidate) => candidate.name).join(', ');
    throw new Fault('BAD_OPTION', `no such probe; there are: ${names}`, {
      flag: '--probe',
      value: name,
    });
  }
  return probe;
}
