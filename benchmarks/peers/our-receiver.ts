/** The receiver alone, as an agent runs it: node our-receiver.js DEVICE SECONDS. */
import { Captures } from '../../agent/capture/captures.js';
import { Receiver } from '../../agent/capture/receiver.js';
import { tcpSyn } from '../../shared/probe/tcp-syn.js';
import { KEY } from '../../test/support/replies.js';
import { pause } from './network.js';
import { ORIGIN, replayedPlan } from './replayed.js';

const [device = 'eth0', seconds = '5'] = process.argv.slice(2);
const capture = new Captures().open({ device, filter: tcpSyn.captureFilter(ORIGIN) });
const survey = { probe: 'tcp-syn', probeOptions: tcpSyn.parseOptions({}), key: KEY };
const receiver = new Receiver(replayedPlan, survey, capture.dissection);
let classified = 0;
capture.start((timestamp) => {
  const isOurs = receiver.receive(timestamp) !== undefined;
  if (isOurs) classified++;
  return isOurs;
});
console.log('listening');
await pause(Number(seconds) * 1000);
const { user } = process.cpuUsage();
console.log(
  JSON.stringify({ ...capture.totals, classified, userNanos: (user * 1000) / classified }),
);
capture.close();
process.exit(0);
