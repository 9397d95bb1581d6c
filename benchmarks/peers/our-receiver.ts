/** The receiver alone, as an agent runs it: node our-receiver.js DEVICE SECONDS. */
import { Captures } from '../../agent/capture/captures.js';
import { OUTCOME } from '../../agent/interfaces.js';
import { ReplyValidator } from '../../agent/replies/reply-validator.js';
import { ReplyCounts } from '../../agent/replies/shard-matcher.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import { tcpSyn } from '../../shared/probe/tcp/tcp-syn.js';
import { KEY } from '../../test/support/replies.js';
import { pause } from './network.js';
import { ORIGIN, replayedPlan } from './replayed.js';

const [device = 'eth0', seconds = '5'] = process.argv.slice(2);
const capture = new Captures().open({ device, filter: tcpSyn.captureFilter(ORIGIN) });
const survey = { probes: [{ name: 'tcp-syn', options: {} }] };
const cookies = new CookieMac(probeKey(KEY, 0));
const counts = new ReplyCounts();
const shards = Array.from({ length: replayedPlan.shardCount }, (_, shard) => shard);
const recorder = { onReply: () => OUTCOME.NEW, cookiesOf: () => cookies };
const held = new Map(shards.map((shard) => [shard, recorder]));
const receiver = new ReplyValidator(
  replayedPlan,
  survey,
  ORIGIN.ports,
  capture.dissection,
  held,
  counts,
);
capture.start(receiver);
console.log('listening');
await pause(Number(seconds) * 1000);
const { user } = process.cpuUsage();
const classified = counts.new;
console.log(
  JSON.stringify({ ...capture.totals, classified, userNanos: (user * 1000) / classified }),
);
capture.close();
process.exit(0);
