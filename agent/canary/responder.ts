/** Answers TCP SYNs to canaries, for which no kernel may answer, and reports each. */
import { every, isoTime, systemClock } from '../../shared/base/clock.js';
import { formatWords, hasPrefix, isMapped, type Prefix6 } from '../../shared/net/ipv6.js';
import { Dissection, REJECT } from '../../shared/packet/dissect.js';
import { FLAG_SYN } from '../../shared/packet/tcp.js';
import { type Canaries, type CanaryProbe, dayOf } from '../../shared/survey/canaries.js';
import { openPcapSource } from '../capture/pcap-source.js';
import { Outbox } from './outbox.js';
import { FLAGS, SHAPES, segmentOctets, writeSegment } from './reply-frames.js';

/** SYNs without other flags, of both families; an IPv6 header is followed by TCP. */
const FILTER = 'tcp[13] = 2 or (ip6[6] = 6 and ip6[53] = 2)';
const FLUSH_MILLIS = 1;

export interface ResponderOptions {
  readonly device: string;
  readonly prefixes: readonly Prefix6[];
  readonly canaries: Canaries;
  readonly onProbe: (probe: CanaryProbe) => void;
}

/** Answers until the signal aborts. @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export async function answerForCanaries(
  { device, prefixes, canaries, onProbe }: ResponderOptions,
  signal: AbortSignal,
): Promise<void> {
  const source = openPcapSource({ device, filter: FILTER });
  const outboxes = {
    4: new Outbox(device, 4, segmentOctets(SHAPES[4])),
    6: new Outbox(device, 6, segmentOctets(SHAPES[6])),
  };
  const { view } = source;
  const frame = new Dissection(view);
  const bytes = new Uint8Array(view.buffer, view.byteOffset);
  source.start((start, end, timestamp) => {
    if (frame.dissect('ethernet', start, end) !== REJECT.OK || !frame.isTcp) return;
    if (frame.tcp.flags !== FLAG_SYN) return;
    // A reply flows from its source to us, and this is a probe: the canary is the source of the flow.
    const { source: canary, target: prober } = frame.flow;
    const { words, port } = canary;
    if (!prefixes.some((prefix) => hasPrefix(words, prefix))) return;
    const millis = timestamp / 1000;
    const isOpen = canaries.isOpen(words, port, dayOf(millis));
    const shape = isMapped(words) ? SHAPES[4] : SHAPES[6];
    const at = (isMapped(words) ? frame.ipv4 : frame.ipv6).at;
    const flags = isOpen ? FLAGS.SYN_ACK : FLAGS.RST_ACK;
    outboxes[shape.family].put((frameSender, to) =>
      writeSegment(frameSender, to, { bytes, at, shape }, { flags, beyond: 1 }),
    );
    onProbe({
      at: isoTime(millis),
      saddr: formatWords(prober.words),
      sport: prober.port,
      daddr: formatWords(words),
      dport: port,
      seqnum: frame.tcp.sequence,
      answer: isOpen ? 'synack' : 'rst',
    });
  });
  await every(systemClock, FLUSH_MILLIS, signal, () => {
    for (const outbox of Object.values(outboxes)) outbox.flush();
  });
  source.close();
}
