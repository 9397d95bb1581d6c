/** Our receiver alone, as an agent runs it: node our-receiver.js DEVICE SECONDS. */
import { Receiver } from '../../agent/capture/receiver.js';
import { openCapture } from '../../agent/wire/pcap-capture.js';
import { tcpSyn } from '../../shared/probe/tcp-syn.js';
import { KEY } from '../../test/support/replies.js';
import { pause } from './network.js';
import { ORIGIN, replayedPlan } from './replayed.js';

const [device = 'eth0', seconds = '5'] = process.argv.slice(2);
const capture = openCapture(device, tcpSyn.captureFilter(ORIGIN));
const survey = { probe: 'tcp-syn', probeOptions: tcpSyn.parseOptions({}), key: KEY };
const receiver = new Receiver(replayedPlan, survey, capture);
let classified = 0;
capture.start((octets, timestamp) => {
  if (receiver.receive(octets, timestamp) !== undefined) classified++;
});
console.log('listening');
await pause(Number(seconds) * 1000);
const { user } = process.cpuUsage();
console.log(
  JSON.stringify({ ...capture.totals, classified, userNanos: (user * 1000) / classified }),
);
capture.close();
process.exit(0);
