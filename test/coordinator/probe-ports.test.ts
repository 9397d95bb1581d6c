import { describe, expect, test } from 'vitest';
import {
  parsePortEntries,
  parseProbe,
  resolveProbes,
} from '../../coordinator/cli/survey/probe-ports.js';
import type { Fault } from '../../shared/base/faults.js';
import { portIn, probeIn } from '../../shared/net/ports.js';
import type { ProbeOptions } from '../../shared/probe/probe.js';

/** All targets of one address, as `probe:port`. */
function probed(ports: string, ...probes: string[]): string[] {
  const found = resolveProbes(parsePortEntries(ports), probes.map(parseProbe), []);
  return found.ports.map((port) => `${found.probes[probeIn(port)]?.name}:${portIn(port)}`);
}

function optionsOf(port: number, probe: string): ProbeOptions | undefined {
  return resolveProbes(parsePortEntries(`${port}`), [parseProbe(probe)], []).probes[0]?.options;
}

const faultOf = (attempt: () => unknown): Fault => {
  try {
    attempt();
  } catch (error) {
    return error as Fault;
  }
  throw new Error('nothing was thrown');
};

describe('a list of ports', () => {
  test('belongs to the first probe, except for entries that name another probe', () => {
    expect(probed('80,udp:53,443')).toEqual(['tcp-syn:80', 'tcp-syn:443', 'udp:53']);
    expect(probed('80,tcp-syn:81', 'tcp-ack', 'tcp-syn')).toEqual(['tcp-ack:80', 'tcp-syn:81']);
    expect(probed('icmp-echo,22')).toEqual(['icmp-echo:0', 'tcp-syn:22']);
  });

  test.each(['udp:53,!53', 'icmp-echo,!1-5', '!22,udp:1-9'])(
    '%s is rejected, and does not mean all other ports of the first probe',
    (text) => {
      const fault = faultOf(() => parsePortEntries(text));
      expect(fault.details.value).toMatch(/^!/);
      expect(fault.message).toMatch(/no ports of it are included/);
    },
  );

  test('that only excludes ports of a probe means all other ports of that probe', () => {
    expect(probed('!22')).toHaveLength(65_534);
    expect(probed('80,udp:!53')).toHaveLength(65_535);
    expect(probed('udp:50-53,udp:!52')).toEqual(['udp:50', 'udp:51', 'udp:53']);
  });

  test('takes top:N from the ranking of the transport that is probed', () => {
    const ofTcp = probed('top:3');
    expect(ofTcp).toContain('tcp-syn:80');
    expect(probed('top:3', 'udp').map((text) => text.split(':')[1])).toEqual(
      probed('udp:top:3').map((text) => text.split(':')[1]),
    );
    expect(probed('top:3', 'udp')).not.toContain('udp:80');
  });

  test('has errors that name what was written, and advice that works', () => {
    expect(faultOf(() => parsePortEntries('http')).details).toEqual({ value: 'http' });
    const unsent = faultOf(() => probed('udp:53', 'udp', 'icmp-echo'));
    expect(unsent.message).toMatch(/-p icmp-echo$/);
    expect(probed('udp:53,icmp-echo', 'udp', 'icmp-echo')).toEqual(['udp:53', 'icmp-echo:0']);
    expect(faultOf(() => probed('80', 'icmp-echo')).details).toMatchObject({ value: '80' });
  });
});

describe('a probe', () => {
  test('that is given twice is rejected', () => {
    const twice = faultOf(() => probed('53', 'udp:payload=dns', 'udp:payload=ntp'));
    expect(twice.details).toMatchObject({ flag: '--probe', value: 'udp' });
  });

  test.each(['constructor', '__proto__', 'toString'])('named %s is unknown', (name) => {
    expect(() => parseProbe(name)).toThrow(/no such probe/);
  });

  test('of UDP keeps its other options, whether its payload is named or follows from the port', () => {
    expect(optionsOf(53, 'udp:payload=dns,pad=200')).toMatchObject({ pad: '200' });
    expect(optionsOf(9, 'udp:pad=64')).toMatchObject({ pad: '64', payload: 'hex:' });
    expect(optionsOf(69, 'udp')).toMatchObject({ 'any-port': 'yes' });
    expect(optionsOf(69, 'udp:any-port=no')).toMatchObject({ 'any-port': 'no' });
    expect(optionsOf(53, 'udp')).toMatchObject({ 'any-port': 'no' });
    expect(optionsOf(53, 'udp:any-port=yes,ttl=9')).toMatchObject({ 'any-port': 'yes', ttl: '9' });
  });
});
