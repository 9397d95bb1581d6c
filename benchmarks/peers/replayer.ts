/**
 * Sends replies to a survey's probes at a given rate: node replayer.js DEVICE RATE SECONDS. Each reply is a
 * SYN-ACK or a reset with a valid cookie, made by the code of the simulated Internet.
 */

import { FLAGS, SHAPES, segmentOctets, writeSegment } from '../../agent/canary/reply-frames.js';
import { Pacer } from '../../agent/send/pacer.js';
import { openTxRing } from '../../agent/transmit/tx-ring.js';
import { monotonicMillis } from '../../shared/base/clock.js';
import { KEY, probeOf } from '../../test/support/replies.js';
import { replayedFlow } from './replayed.js';

const [device = 'eth0', rateText = '650000', secondsText = '5'] = process.argv.slice(2);
const DISTINCT = 1024;
const rate = Number(rateText);
const nobody = new Uint8Array(6).fill(2);
const shape = SHAPES[4];
const octets = segmentOctets(shape);
const nextHop = { source: nobody, gateway: nobody };
const frameSender = openTxRing({ device, family: 4, octets, nextHop, queue: 0 });
const probes = Array.from({ length: DISTINCT }, (_, i) => {
  const bytes = new Uint8Array(14 + 44);
  bytes.set(probeOf(replayedFlow(i), KEY), 14);
  return { bytes, at: 14, shape };
});
// Each frame of the ring is filled once; after that, the same frames are sent again and again.
const packetAt = new Uint32Array(frameSender.frames);
for (let i = 0; i < frameSender.frames; i++) {
  const flags = i % 2 === 0 ? FLAGS.SYN_ACK : FLAGS.RST_ACK;
  const probe = probes[i % DISTINCT] as (typeof probes)[number];
  writeSegment(frameSender, frameSender.packetAt(i), probe, { flags, beyond: 1 });
}
const pacer = new Pacer(monotonicMillis());
const until = monotonicMillis() + Number(secondsText) * 1000;
let sent = 0;
while (monotonicMillis() < until) {
  const count = Math.min(frameSender.room(), pacer.allowance(monotonicMillis(), rate));
  if (count === 0) continue;
  frameSender.locate(count, packetAt);
  const taken = frameSender.send(count);
  pacer.spend(taken);
  sent += taken;
}
console.log(JSON.stringify({ sent }));
frameSender.close();
