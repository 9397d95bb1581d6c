/**
 * The simulated Internet: answers every SYN that reaches an interface, for any address of either family, as
 * `truth.ts` defines. Runs on a host of a lab to which others have routes.
 *     node main.js DEVICE SEED [census]
 */

import { Outbox } from '../../../agent/canary/outbox.js';
import {
  errorOctets,
  FLAGS,
  type Probe,
  SHAPES,
  type Shape,
  segmentOctets,
  writeError,
  writeSegment,
} from '../../../agent/canary/reply-frames.js';
import { openPcapSource } from '../../../agent/capture/pcap-source.js';
import { Dissection, REJECT } from '../../../shared/packet/dissect.js';
import { FLAG_SYN } from '../../../shared/packet/tcp.js';
import { Census } from './census.js';
import { type Kind, kindOf, rollOf } from './truth.js';

const FLUSH_MILLIS = 1;
const REPORT_MILLIS = 1000;

/** One segment of a reply. */
interface Line {
  readonly millis: number;
  readonly flags: number;
  readonly beyond: number;
}

const [device = 'eth0', seedText = '1', mode = ''] = process.argv.slice(2);
const seed = Number(seedText);

const outboxes = {
  4: { segments: outbox(SHAPES[4], segmentOctets), errors: outbox(SHAPES[4], errorOctets) },
  6: { segments: outbox(SHAPES[6], segmentOctets), errors: outbox(SHAPES[6], errorOctets) },
};
// This capture includes link headers, which replies need to reach the sender of the probe.
const filter = 'tcp[13] = 2 or (ip6[6] = 6 and ip6[53] = 2)';
const capture = openPcapSource({ device, filter });
const frame = new Dissection(capture.view);
const captured = new Uint8Array(capture.view.buffer, capture.view.byteOffset);
const census = mode === 'census' ? new Census() : undefined;
let received = 0;
let answered = 0;

capture.start((start, end, timestamp) => {
  if (frame.dissect('ethernet', start, end) !== REJECT.OK || !frame.isTcp) return;
  if (frame.tcp.flags !== FLAG_SYN) return;
  received++;
  // The frame is a probe, but is dissected as a reply, so the probe's target is the source of its flow.
  const target = frame.flow.source;
  census?.count(target.w3, target.port, timestamp);
  const roll = rollOf(seed, target.words, target.port);
  const shape = frame.isIpv6 ? SHAPES[6] : SHAPES[4];
  const at = (frame.isIpv6 ? frame.ipv6 : frame.ipv4).at;
  answer(kindOf(roll), roll, { bytes: captured, at, shape });
});

setInterval(() => {
  for (const { segments, errors } of Object.values(outboxes)) {
    segments.flush();
    errors.flush();
  }
}, FLUSH_MILLIS);
setInterval(() => {
  const { framesReceived, framesDropped } = capture.totals;
  console.log(
    JSON.stringify({ received, answered, framesReceived, framesDropped, ...census?.counts }),
  );
}, REPORT_MILLIS);
console.log('the Internet is up');

/** Segments that a kind of target sends, and their delays. */
function scriptOf(kind: Kind, roll: number): readonly Line[] {
  const line = (millis: number, flags: number, beyond = 1) => ({ millis, flags, beyond });
  const { SYN_ACK, RST_ACK } = FLAGS;
  const scripts: Partial<Record<Kind, readonly Line[]>> = {
    open: [line(0, SYN_ACK)],
    closed: [line(0, RST_ACK)],
    slow: [line(100 + (roll % 1400), SYN_ACK)],
    // The cookie of a probe decides whether the probe is lost, so losses are random but the same
    // whenever the probe is repeated.
    lossy: frame.tcp.sequence % 2 === 0 ? [] : [line(0, SYN_ACK)],
    repeating: [line(0, SYN_ACK), line(50, SYN_ACK), line(400, SYN_ACK)],
    lying: [line(0, SYN_ACK, 2 + (roll >>> 8))],
    resetting: [line(0, SYN_ACK), line(5, RST_ACK)],
    wary: [line(0, RST_ACK), line(30, SYN_ACK)],
  };
  return scripts[kind] ?? [];
}

function answer(kind: Kind, roll: number, probe: Probe): void {
  if (kind === 'filtered') {
    answered++;
    const router = 0x64400000 + ((roll >>> 8) % 64);
    outboxes[probe.shape.family].errors.put((frameSender, at) =>
      writeError(frameSender, at, probe, router),
    );
  }
  for (const line of scriptOf(kind, roll)) {
    if (line.millis === 0) segment(probe, line);
    else later(probe, line);
  }
}

function segment(probe: Probe, what: Line): void {
  answered++;
  outboxes[probe.shape.family].segments.put((frameSender, at) =>
    writeSegment(frameSender, at, probe, what),
  );
}

/** The capture's buffer is reused, so a delayed reply needs a copy. */
function later(probe: Probe, line: Line): void {
  const bytes = probe.bytes.slice(0, probe.at + probe.shape.head + 20);
  setTimeout(() => segment({ ...probe, bytes }, line), line.millis);
}

function outbox(shape: Shape, octets: (shape: Shape) => number): Outbox {
  return new Outbox(device, shape.family, octets(shape));
}
