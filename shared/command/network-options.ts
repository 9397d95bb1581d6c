/**
 * The network flags of an agent: declared once for the agent and for `scan`, which checks them and passes
 * them on as typed.
 */
import type { Command } from 'commander';
import { Fault } from '../base/faults.js';
import { parsePorts } from '../net/ports.js';
import { type MacAddress, parseMac, VLAN_MAX } from '../packet/ethernet.js';
import { option } from './program.js';
import { parseSources, type Sources } from './source-addresses.js';

/** Methods that send whole frames, fastest first; and `raw-ip`, which leaves routing to the kernel. */
const TRANSMIT_METHODS = ['af-xdp', 'tx-ring', 'packet', 'pcap', 'raw-ip'] as const;
export type TransmitMethod = (typeof TRANSMIT_METHODS)[number];

/** The flags below, as commander parses them. */
export interface NetworkFlags {
  readonly interface?: string;
  readonly sourceIp?: Sources;
  readonly sourcePort?: { readonly from: number; readonly to: number };
  readonly sourceMac?: MacAddress;
  readonly gatewayMac?: MacAddress;
  readonly vlan?: number;
  readonly senders?: number;
  readonly transmit?: TransmitMethod;
}

const SENDERS_MAX = 64;

const OPTIONS: readonly (readonly [string, string, (text: string) => unknown])[] = [
  [
    '-i, --interface <name>',
    'send and capture on this interface (default: as routed)',
    (name) => name,
  ],
  [
    '-S, --source-ip <list>',
    'source addresses, or an IPv6 prefix that is routed to this host (default: as routed)',
    parseSources,
  ],
  ['-s, --source-port <ports>', 'source ports: 50000 or 50000-50999', parseSourcePorts],
  ['-G, --gateway-mac <mac>', 'MAC address of the next hop', parseHardwareAddress],
  ['--source-mac <mac>', 'source MAC address (default: the interface’s)', parseHardwareAddress],
  ['--vlan <id>', 'send with this VLAN tag; needs --gateway-mac', parseVlan],
  ['--senders <n>', 'sending threads (default: 1)', parseSenders],
  [
    '--transmit <method>',
    `how frames are sent: ${TRANSMIT_METHODS.join(', ')} (default: the fastest)`,
    parseTransmitMethod,
  ],
];

/** @param asTyped whether a value that passed its check is kept as text, so that it can be passed on */
export function addNetworkOptions(command: Command, asTyped: boolean): Command {
  for (const [flags, about, parse] of OPTIONS) {
    const checked = (text: string) => {
      const value = parse(text);
      return asTyped ? text : value;
    };
    command.addOption(option(flags, about, checked));
  }
  return command;
}

/** The network flags that were given, turned back into command line arguments. */
export function networkArguments(flags: Readonly<Record<string, unknown>>): string[] {
  return OPTIONS.flatMap(([declared]) => {
    const long = /--([a-z-]+)/.exec(declared)?.[1] ?? '';
    const value = flags[long.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    return typeof value === 'string' ? [`--${long}`, value] : [];
  });
}

function parseSourcePorts(text: string): { from: number; to: number } {
  const ports = parsePorts(text);
  const [from] = ports;
  const last = ports.at(-1);
  if (from !== undefined && last !== undefined && last - from === ports.length - 1) {
    return { from, to: last + 1 };
  }
  throw new Fault('BAD_OPTION', 'source ports are one port or one range', { value: text });
}

function parseHardwareAddress(text: string): MacAddress {
  const address = parseMac(text);
  if (address !== undefined) return address;
  const reason = 'not an Ethernet address (six pairs of hexadecimal digits with colons)';
  throw new Fault('BAD_OPTION', reason, { value: text });
}

function parseVlan(text: string): number {
  return parseWhole(text, VLAN_MAX, 'a VLAN identifier');
}

function parseSenders(text: string): number {
  return parseWhole(text, SENDERS_MAX, 'a number of senders');
}

function parseWhole(text: string, max: number, what: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Fault('BAD_OPTION', `${what} is a whole number from 1 to ${max}`, { value: text });
}

function parseTransmitMethod(text: string): TransmitMethod {
  const found = TRANSMIT_METHODS.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Fault(
    'BAD_OPTION',
    `no such transmit method; there are: ${TRANSMIT_METHODS.join(', ')}`,
    {
      value: text,
    },
  );
}
