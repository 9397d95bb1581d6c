/**
 * Payloads of the UDP probe by port. For each protocol, it is the shortest valid question that services
 * answer without side effects, and whose answer is at most ten times as long. Data only: to add a payload,
 * add an entry.
 *
 * `hex` is the payload; `**` stands for an octet of the cookie, four at most. `echo` is the offset at which
 * an answer repeats these octets; without it, the source port alone proves an answer.
 */

export interface UdpPayload {
  readonly name: string;
  readonly ports: readonly number[];
  /** The standard or the document in which the question is defined. */
  readonly reference: string;
  readonly hex: string;
  readonly echo?: number;
  /** True if servers answer from a port of their choice: then such answers are accepted. */
  readonly answersFromOtherPort?: boolean;
  /** The payload is filled with zeros to this many octets. */
  readonly pad?: number;
}

const ascii = (text: string) => Buffer.from(text, 'latin1').toString('hex');
const octet = (value: number) => value.toString(16).padStart(2, '0');
/** A domain name (RFC 1035 §3.1). */
const name = (text: string) =>
  `${text
    .split('.')
    .map((label) => octet(label.length) + ascii(label))
    .join('')}00`;

export const UDP_PAYLOADS: readonly UdpPayload[] = [
  {
    name: 'dns',
    ports: [53],
    reference: 'RFC 1035 §4.1: standard query, recursion desired, for the NS records of the root',
    hex: '**** 0100 0001 0000 0000 0000 00 0002 0001',
    echo: 0,
  },
  {
    name: 'dns-mdns',
    ports: [5353],
    reference:
      'RFC 6762 §6.7: legacy unicast query for _services._dns-sd._udp.local PTR (RFC 6763 §9)',
    hex: `**** 0000 0001 0000 0000 0000 ${name('_services._dns-sd._udp.local')} 000c 0001`,
    echo: 0,
  },
  {
    name: 'llmnr',
    ports: [5355],
    reference: 'RFC 4795 §2.1: query for the PTR record of 127.0.0.1',
    hex: `**** 0000 0001 0000 0000 0000 ${name('1.0.0.127.in-addr.arpa')} 000c 0001`,
    echo: 0,
  },
  {
    name: 'ntp',
    ports: [123],
    reference: 'RFC 5905 §7.3: client request, version 4; the cookie is the transmit timestamp',
    hex: `e3000afa 00000000 00010000 00000000 ${'00'.repeat(24)} 00000000 ********`,
    echo: 28, // the low half of the originate timestamp
  },
  {
    name: 'snmp',
    ports: [161],
    reference: 'RFC 3414 §4: discovery of the engine, SNMPv3, no user; the cookie is in msgID',
    hex: [
      '303a 020103', // sequence, version 3
      '300f 02020d** 020300ffe3 040104 020103', // msgID, maximum size, reportable, USM
      '0410 300e 0400 020100 020100 0400 0400 0400', // no engine, no user
      '3012 0400 0400 a00c 02020000 020100 020100 3000', // an empty get request
    ].join(''),
  },
  {
    name: 'rpcbind',
    ports: [111],
    reference:
      'RFC 5531 §9, RFC 1833 §2: NULL call of the port mapper, version 2; the cookie is the xid',
    hex: `******** 00000000 00000002 000186a0 00000002 00000000 ${'00'.repeat(16)}`,
    echo: 0,
  },
  {
    name: 'nfs',
    ports: [2049],
    reference: 'RFC 5531 §9, RFC 1813 §3.3.0: NULL call of NFS, version 3; the cookie is the xid',
    hex: `******** 00000000 00000002 000186a3 00000003 00000000 ${'00'.repeat(16)}`,
    echo: 0,
  },
  {
    name: 'netbios-ns',
    ports: [137],
    reference: 'RFC 1002 §4.2.17: node status request for the name *',
    hex: `**** 0000 0001 0000 0000 0000 20${ascii('CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')}00 0021 0001`,
    echo: 0,
  },
  {
    name: 'ssdp',
    ports: [1900],
    reference: 'UPnP Device Architecture 2.0 §1.3.3: unicast M-SEARCH for the root device',
    hex: ascii(
      'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nST: upnp:rootdevice\r\n\r\n',
    ),
  },
  {
    name: 'stun',
    ports: [3478, 19302],
    reference: 'RFC 8489 §5: binding request; the cookie is in the transaction identifier',
    hex: `0001 0000 2112a442 ******** ${'00'.repeat(8)}`,
    echo: 8,
  },
  {
    name: 'sip',
    ports: [5060],
    reference: 'RFC 3261 §11: OPTIONS',
    hex: ascii(
      [
        'OPTIONS sip:nobody@invalid SIP/2.0',
        'Via: SIP/2.0/UDP invalid:5060;branch=z9hG4bKtransect;rport',
        'Max-Forwards: 70',
        'From: <sip:nobody@invalid>;tag=transect',
        'To: <sip:nobody@invalid>',
        'Call-ID: transect',
        'CSeq: 1 OPTIONS',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    ),
  },
  {
    name: 'coap',
    ports: [5683],
    reference:
      'RFC 7252 §4.3: an empty confirmable message (ping); the answer is a reset of the same message',
    hex: '4000 ****',
    echo: 2,
  },
  {
    name: 'ike',
    ports: [500],
    reference:
      'RFC 7296 §3.1: IKE_SA_INIT with one proposal, any key, any nonce; the cookie is in the initiator’s SPI',
    hex: [
      '******** 00000001 0000000000000000 21202208 00000000 00000178',
      '22000030 0000002c 01010004', // one proposal with four transforms
      '0300000c 0100000c 800e0100 03000008 02000005 03000008 0300000c 00000008 0400000e',
      `28000108 000e0000 ${'02'.repeat(256)}`, // key exchange, group 14
      `00000024 ${'03'.repeat(32)}`, // nonce
    ].join(''),
    echo: 0,
  },
  {
    name: 'tftp',
    ports: [69],
    reference:
      'RFC 1350 §5: read request of a file that does not exist; the error comes from another port',
    hex: `0001 ${ascii('transect-no-such-file')}00 ${ascii('octet')}00`,
    answersFromOtherPort: true,
  },
  {
    name: 'quic',
    ports: [443],
    reference:
      'RFC 9000 §6, §17.2.1: long header of a reserved version, which servers answer with theirs',
    hex: 'c0 1a2a3a4a 08 0000000000000000 04 ******** 00 449a 00',
    pad: 1200,
    echo: 6, // the destination connection identifier of the answer
  },
  {
    name: 'openvpn',
    ports: [1194],
    reference:
      'OpenVPN protocol: P_CONTROL_HARD_RESET_CLIENT_V2; the cookie is in the session identifier',
    hex: '38 ******** 00000001 00 00000000',
  },
  {
    name: 'l2tp',
    ports: [1701],
    reference:
      'RFC 2661 §5.8: SCCRQ with a host name; the cookie is the assigned tunnel identifier',
    hex: [
      'c802 003c 0000 0000 0000 0000', // control header
      '8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000003', // SCCRQ, version, framing
      `800e 0000 0007 ${ascii('transect')} 8008 0000 0009 ****`,
    ].join(''),
    echo: 4, // the tunnel identifier of the answer's header
  },
  {
    name: 'radius',
    ports: [1812],
    reference: 'RFC 5997 §2: Status-Server; the cookie is the identifier',
    hex: `0c ** 0014 ${'00'.repeat(16)}`,
    echo: 1,
  },
  {
    name: 'bacnet',
    ports: [47808],
    reference: 'ANSI/ASHRAE 135 annex J: read the object identifier of the device',
    hex: '810a 0011 0104 0005 01 0c 0c 023fffff 194b',
  },
  {
    name: 'memcached',
    ports: [11211],
    reference: 'memcached protocol.txt, UDP: version; the cookie is the request identifier',
    hex: `**** 0000 0001 0000 ${ascii('version\r\n')}`,
    echo: 0,
  },
];
