import { startPrivateBroker } from '../../coordinator/cli/scan/private-broker.js';
import { systemClock } from '../../shared/base/clock.js';
import { memoryBus } from '../../shared/bus/memory/memory-bus.js';
import { natsBus } from '../../shared/bus/nats/nats-bus.js';
import { busContract } from './bus.contract.js';

busContract('memory', {
  async open() {
    const bus = memoryBus(systemClock);
    return { coordinator: bus, agent: bus, close: bus.close };
  },
  settle: (promise) => promise,
});

busContract('NATS', {
  async open() {
    const broker = await startPrivateBroker();
    const coordinator = await natsBus(broker.access, 'coordinator');
    const agent = await natsBus(broker.access, 'agent');
    const close = async () => {
      await Promise.all([coordinator.close(), agent.close()]);
      await broker.stop();
    };
    return { coordinator, agent, close };
  },
  settle: (promise) => promise,
});
