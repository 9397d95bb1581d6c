/**
 * Many real agents in one process, connected to a real broker. Only their network I/O is simulated: probes count
 * as sent at the rate that is granted, and no replies come. Each agent has a connection of its own.
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

/** A send loop that sends nothing: probes count as sent at the rate that is granted, shard after shard. */
function simulatedSender() {
  let rate = 0;
  let allowance = 0;
  let at = performance.now();
  const totals = { probesSent: 0, sendErrors: {} };
  const queue: { sentUpTo: number; readonly to: number }[] = [];
  const advance = () => {
    const now = performance.now();
    allowance += (rate * (now - at)) / 1000;
    at = now;
    for (let first = queue[0]; first !== undefined && allowance >= 1; first = queue[0]) {
      const probes = Math.min(Math.floor(allowance), first.to - first.sentUpTo);
      allowance -= probes;
      totals.probesSent += probes;
      first.sentUpTo += probes;
      if (first.sentUpTo === first.to) queue.shift();
    }
    if (queue.length === 0) allowance = Math.min(allowance, 1);
  };
  return {
    transmit: 'simulated',
    totals,
    exclusionsVersion: 0,
    grant(granted: number) {
      advance();
      rate = granted;
    },
    setExclusions() {},
    slowDown() {},
    freeSlots: Number.POSITIVE_INFINITY,
    close: async () => {},
    send(from: number, to: number): Sending {
      const progress = { sentUpTo: from, to };
      queue.push(progress);
      return {
        get sentUpTo() {
          advance();
          return progress.sentUpTo;
        },
        get hasEnded() {
          return !queue.includes(progress);
        },
        abandon() {
          if (queue.includes(progress)) queue.splice(queue.indexOf(progress), 1);
        },
        versionSpans: [],
        get probesSent() {
          return progress.sentUpTo - from;
        },
        takeUnsent: () => [],
        releaseSlot() {},
      };
    },
  };
}

const openNetworkIo: OpenNetworkIo = async () => ({
  ...{ sender: simulatedSender(), captures: [], isUp: () => true, notes: [] },
  ...{ rules: undefined, rulesHash: '', ports: { from: 61000, to: 61064 } },
});

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
