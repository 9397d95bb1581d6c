/**
 * Many real agents in one process, connected to a real broker. Only their network I/O is simulated: once a
 * rate is granted, all probes count as sent, and no replies come. Each agent has a connection of its own.
 *     node agents.js COUNT      the broker is named by the environment
 */
import { Agent } from '../../agent/agent.js';
import type { OpenNetworkIo, Sending } from '../../agent/interfaces.js';
import { NO_POLICY } from '../../agent/policy/host-policy.js';
import { systemClock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';
import { agentBus } from '../../shared/bus/nats/nats-bus.js';
import { brokerAccess } from '../../shared/command/broker-options.js';
import { silentLog } from '../../shared/telemetry/log.js';

const [count = '1'] = process.argv.slice(2);
const { TRANSECT_NATS: nats = '' } = process.env;
const access = brokerAccess({ nats }, 'agent');

const openNetworkIo: OpenNetworkIo = async () => {
  let isGranted = false;
  const totals = { probesSent: 0, sendErrors: {} };
  const sender = {
    transmit: 'simulated',
    totals,
    exclusionsVersion: 0,
    grant(rate: number) {
      isGranted ||= rate > 0;
    },
    setExclusions() {},
    slowDown() {},
    freeSlots: Number.POSITIVE_INFINITY,
    close: async () => {},
    send(from: number, to: number): Sending {
      let isAbandoned = false;
      let isCounted = false;
      return {
        get sentUpTo() {
          if (isGranted && !isCounted) totals.probesSent += to - from;
          isCounted ||= isGranted;
          return isGranted ? to : from;
        },
        get hasEnded() {
          return isGranted || isAbandoned;
        },
        abandon() {
          isAbandoned = true;
        },
        versionSpans: [],
        get probesSent() {
          return isGranted ? to - from : 0;
        },
        takeUnsent: () => [],
        releaseSlot() {},
      };
    },
  };
  const standing = {
    notes: [],
    rules: undefined,
    ports: { from: 61000, to: 61064 },
    rulesHash: '',
  };
  return { sender, captures: [], isUp: () => true, ...standing };
};

const stop = stopController();
process.stdin.resume().once('end', () => process.exit(0)); // our parent has exited
const agents: Agent[] = [];
while (agents.length < Number(count)) {
  const agent = `a${agents.length}`;
  const bus = await agentBus(access, agent);
  const options = { agent, session: agent, vantage: 'bench', version: 'bench', ceiling: 0 };
  agents.push(
    new Agent(options, {
      bus,
      clock: systemClock,
      log: silentLog,
      openNetworkIo,
      policy: NO_POLICY,
    }),
  );
}
process.stdout.write('agents ready\n');
await Promise.all(agents.map((agent) => agent.run(stop.signal)));
