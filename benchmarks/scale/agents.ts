/**
 * Many agents in one process: the real agents on the real broker, each with a connection of its own.
 * Only their stations are simulated: whatever is granted is sent at once, and nothing answers.
 *
 *     node agents.js URL COUNT
 */
import { Agent } from '../../agent/agent.js';
import type { OpenStation, Sending } from '../../agent/ports.js';
import { systemClock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';
import { natsBus } from '../../shared/bus/nats/nats-bus.js';
import { silentLog } from '../../shared/telemetry/log.js';

const [url = '', count = '1'] = process.argv.slice(2);

const openStation: OpenStation = async () => {
  let isGranted = false;
  const totals = { sent: 0, refusals: {} };
  const sender = {
    wire: 'simulated',
    totals,
    exclusions: 0,
    grant(rate: number) {
      isGranted ||= rate > 0;
    },
    exclude() {},
    close: async () => {},
    send(from: number, to: number): Sending {
      let isAbandoned = false;
      let isCounted = false;
      return {
        get sent() {
          if (!isGranted) return from;
          if (!isCounted) totals.sent += to - from;
          isCounted = true;
          return to;
        },
        get hasEnded() {
          return isGranted || isAbandoned;
        },
        abandon() {
          isAbandoned = true;
        },
        lost: 0,
        excluded: 0,
        marks: [],
        forget() {},
      };
    },
  };
  return { sender, captures: [], isPresent: () => true };
};

const stop = stopController();
process.once('SIGTERM', () => stop.abort());
const starting = Array.from({ length: Number(count) }, async (_, i) => {
  const agent = `a${i}`;
  const bus = await natsBus(url, agent);
  const options = { agent, vantage: 'bench', version: 'bench', ceiling: 0 };
  return new Agent(options, { bus, clock: systemClock, log: silentLog, openStation });
});
const agents = await Promise.all(starting);
process.stdout.write('agents ready\n');
await Promise.all(agents.map((agent) => agent.run(stop.signal)));
process.exit(0);
