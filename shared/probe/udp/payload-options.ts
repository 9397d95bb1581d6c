/** The options of the UDP probe that choose its payload, and the payload that they describe. */
import { Fault } from '../../base/faults.js';
import type { ProbeOption, ProbeOptions } from '../probe.js';
import { choice, wholeNumber } from '../probe-options.js';
import { UDP_PAYLOADS, type UdpPayload } from './udp-payloads.js';

/** A payload ready to be sent. */
export interface Payload {
  /** The octets of the cookie are zero. */
  readonly octets: Uint8Array;
  readonly cookieAt: number;
  /** 0 … 4. */
  readonly cookieOctets: number;
  /** Offset at which an answer repeats the cookie; −1 if it does not. */
  readonly echoAt: number;
}

const BY_PORT = 'by-port';
const EMPTY = 'empty';
const HEX = 'hex:';
const NO_ECHO = 'none';
/** Fits into Ethernet's 1500 octets with an IPv4 or an IPv6 header. */
const PAYLOAD_OCTETS_MAX = 1400;
const COOKIE_OCTETS_MAX = 4;
/**
 * The highest offset of an echoed cookie. Of an answer, 512 octets are captured, which include the headers:
 * Ethernet, VLAN, IPv6 with an extension, and UDP.
 */
const ECHO_AT_MAX = 400;

/** The value of `any-port` that stands for the usual behaviour of a payload's protocol. */
const AS_USUAL = 'as-usual';

export const ANY_PORT = choice(
  'any-port',
  [AS_USUAL, 'no', 'yes'],
  AS_USUAL,
  `accept answers that come from another port of the target; ${AS_USUAL} if the protocol answers so`,
);
export const ANY_ADDRESS = choice(
  'any-address',
  ['no', 'yes'],
  'no',
  'accept answers from another address of the IPv4 /24, if they echo our cookie',
);

const NAMES = UDP_PAYLOADS.map(({ name }) => name);

export const PAYLOAD_OPTIONS: readonly ProbeOption[] = [
  {
    name: 'payload',
    fallback: BY_PORT,
    about: `${BY_PORT}, ${EMPTY}, @FILE, hex:… (** is an octet of the cookie), or ${NAMES.join(', ')}`,
    check: checkPayload,
  },
  {
    name: 'echo',
    fallback: NO_ECHO,
    about: `offset in the answer of the octets marked **, or ${NO_ECHO}`,
    check: (value) => {
      if (value !== NO_ECHO) wholeNumber(value, 0, ECHO_AT_MAX);
    },
  },
  {
    name: 'pad',
    fallback: '0',
    about: 'fill the payload with zeros to this many octets',
    check: (value) => wholeNumber(value, 0, PAYLOAD_OCTETS_MAX),
  },
  ANY_PORT,
  ANY_ADDRESS,
];

/**
 * The options for a port. A payload that is given by name, or chosen by the port, is replaced by its octets;
 * its other settings apply unless the options have values of their own.
 */
export function optionsForPort(port: number, options: ProbeOptions): ProbeOptions {
  const { payload = BY_PORT } = options;
  if (payload.startsWith(HEX)) return options;
  const known = UDP_PAYLOADS.find(({ name, ports }) =>
    payload === BY_PORT ? ports.includes(port) : name === payload,
  );
  return { ...octetsOf(known), ...given(options) };
}

/** The options that somebody has set; the payload itself is not among them, since it is replaced. */
function given(options: ProbeOptions): ProbeOptions {
  const fallbacks = new Map(PAYLOAD_OPTIONS.map(({ name, fallback }) => [name, fallback]));
  return Object.fromEntries(
    Object.entries(options).filter(
      ([name, value]) => name !== 'payload' && value !== fallbacks.get(name),
    ),
  );
}

function octetsOf(known: UdpPayload | undefined): ProbeOptions {
  if (known === undefined) return { payload: HEX, echo: NO_ECHO, pad: '0', [ANY_PORT.name]: 'no' };
  const { hex, echo, pad, answersFromOtherPort } = known;
  return {
    [ANY_PORT.name]: answersFromOtherPort ? 'yes' : 'no',
    payload: `${HEX}${hex.replaceAll(/\s/g, '')}`,
    echo: echo === undefined ? NO_ECHO : String(echo),
    pad: String(pad ?? 0),
  };
}

/** @param options with a payload in octets, as `optionsForPort` returns them */
export function payloadOf(options: ProbeOptions): Payload {
  const { payload = HEX, echo = NO_ECHO, pad = '0' } = options;
  const pairs: readonly string[] = payload.slice(HEX.length).match(/../g) ?? [];
  const cookieOctets = pairs.filter((pair) => pair === '**').length;
  const octets = new Uint8Array(Math.max(pairs.length, Number(pad)));
  for (const [i, pair] of pairs.entries())
    octets[i] = pair === '**' ? 0 : Number.parseInt(pair, 16);
  return {
    octets,
    cookieAt: Math.max(0, pairs.indexOf('**')),
    cookieOctets,
    echoAt: echo === NO_ECHO || cookieOctets === 0 ? -1 : Number(echo),
  };
}

function checkPayload(value: string): void {
  const names = [BY_PORT, EMPTY, ...NAMES];
  if (names.includes(value)) return;
  if (!value.startsWith(HEX)) {
    throw new Fault('BAD_OPTION', `no such payload; there are: ${names.join(', ')}, @FILE, hex:…`);
  }
  const hex = value.slice(HEX.length);
  if (!/^(?:[0-9a-f]{2}|\*\*)*$/i.test(hex) || hex.length > 2 * PAYLOAD_OCTETS_MAX) {
    const reason =
      `hex: is followed by at most ${PAYLOAD_OCTETS_MAX} octets, ` +
      'each of which is two hexadecimal digits or **';
    throw new Fault('BAD_OPTION', reason);
  }
  const cookie = hex.match(/(?:\*\*)+/g) ?? [];
  if (cookie.length > 1 || (cookie[0]?.length ?? 0) > 2 * COOKIE_OCTETS_MAX) {
    throw new Fault(
      'BAD_OPTION',
      `at most ${COOKIE_OCTETS_MAX} octets may be **, and they must be next to each other`,
    );
  }
}
