/**
 * The SCTP INIT probe (RFC 9260 §5.1): a listening port answers INIT ACK, a closed one ABORT, both with our
 * initiate tag, which is the cookie, as their verification tag (§8.5.1). A quote of eight octets contains
 * only the ports and our verification tag, which is zero; the next four octets are the CRC32c, which covers
 * the cookie.
 */
import type { Endpoint } from '../../net/endpoint.js';
import type { Dissection } from '../../packet/dissect.js';
import { PROTOCOL_SCTP } from '../../packet/ipv4.js';
import {
  CHUNK_ABORT,
  CHUNK_INIT_ACK,
  crc32c,
  SCTP_INIT_OCTETS,
  SctpView,
} from '../../packet/sctp.js';
import { replyFilter } from '../capture-filter.js';
import type { Cookies } from '../cookies.js';
import { IpHeader, ipOctets } from '../ip-header.js';
import {
  type Family,
  ICMP_CLASS,
  type PacketMaker,
  type PacketProbe,
  type ProbeSetup,
  RANK,
  type ReplyReader,
} from '../probe.js';
import type { ProbeBatch } from '../probe-batch.js';
import { TTL } from '../probe-options.js';

const INIT = { window: 32_768, streams: 10 };
/** Number of octets of a quoted header, up to the end of the checksum. */
const QUOTED_CHECKSUM_END = 12;

class InitPackets implements PacketMaker {
  readonly #ip: IpHeader;
  readonly #sctp: SctpView;
  readonly #ttl: number;

  constructor(view: DataView, family: Family, ttl: number) {
    this.#ip = new IpHeader(view, family);
    this.#sctp = new SctpView(view);
    this.#ttl = ttl;
  }

  layOut(at: number): void {
    const fields = { payload: SCTP_INIT_OCTETS, ttl: this.#ttl, protocol: PROTOCOL_SCTP };
    this.#ip.layOut(at, fields);
    this.#sctp.at = at + this.#ip.octets;
    this.#sctp.layOutInit(INIT);
  }

  make(batch: ProbeBatch, sources: readonly Endpoint[]): void {
    const ip = this.#ip;
    const sctp = this.#sctp;
    ip.write(batch, sources);
    for (let i = 0; i < batch.count; i++) {
      sctp.at = (batch.packetAt[i] as number) + ip.octets;
      writeInit(sctp, batch.ports[i] as number, tagOf(batch.sequence[i] as number));
    }
  }
}

function writeInit(sctp: SctpView, ports: number, tag: number): void {
  sctp.ports = ports;
  sctp.initiateTag = tag;
  sctp.checksum = 0;
  sctp.checksum = crc32c(sctp.view, sctp.at, SCTP_INIT_OCTETS);
}

/** Zero is not allowed as an initiate tag. */
function tagOf(cookie: number): number {
  return cookie === 0 ? 1 : cookie;
}

function initReplies({ ports }: ProbeSetup): ReplyReader {
  const expected = new SctpView(new DataView(new ArrayBuffer(SCTP_INIT_OCTETS)));
  expected.layOutInit(INIT);
  return {
    validate(reply: Dissection, cookies: Cookies): boolean {
      if (!cookies.compute(reply.flow)) return false;
      const tag = tagOf(cookies.sequence);
      if (!reply.isError) {
        const { verificationTag, chunkType } = reply.sctp;
        const isAnswer = chunkType === CHUNK_INIT_ACK || chunkType === CHUNK_ABORT;
        return isAnswer && verificationTag === tag;
      }
      const { quotedSctp, quotedAt, end, flow } = reply;
      if (quotedSctp.verificationTag !== 0) return false;
      // RFC 792 promises only eight octets of a quoted packet. If the checksum is missing, the only
      // proof is the source port, which was chosen with the key.
      if (quotedAt + QUOTED_CHECKSUM_END > end) {
        return flow.source.port === cookies.sourcePortTo(flow.target, ports);
      }
      writeInit(expected, ((flow.source.port << 16) | flow.target.port) >>> 0, tag);
      return quotedSctp.checksum === expected.checksum;
    },
    classify({ isError, sctp }) {
      if (isError) return 2;
      return sctp.chunkType === CHUNK_INIT_ACK ? 0 : 1;
    },
    echoedStamp: () => -1,
  };
}

export const sctpInit: PacketProbe = {
  kind: 'packet',
  name: 'sctp-init',
  about: 'SCTP INIT: open ports answer INIT ACK, closed ones ABORT',
  families: [4, 6],
  hasPorts: true,
  choosesSourcePort: true,
  classes: [
    { name: 'initack', rank: RANK.SERVICE, state: 'open', isSuccess: true },
    { name: 'abort', rank: RANK.HOST, state: 'closed', isSuccess: false },
    ICMP_CLASS,
  ],
  silence: 'filtered',
  cookieBits: { reply: '32', quote: '32 of 12 octets or more, else the source port' },
  options: [TTL],
  protocol: () => PROTOCOL_SCTP,
  octets: (family) => ipOctets(family) + SCTP_INIT_OCTETS,
  captureFilter: (origin) => replyFilter(origin, PROTOCOL_SCTP),
  packets: (view, family, { options }) => new InitPackets(view, family, Number(options['ttl'])),
  replies: initReplies,
};
