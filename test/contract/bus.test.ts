import { startPrivateBroker } from '../../coordinator/cli/scan/private-broker.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import { agentBus, controlBus, coordinatorBus } from '../../shared/bus/nats/nats-bus.js';
import { busContract } from './bus.contract.js';

busContract('memory', {
  async open() {
    const { coordinator, people, agent } = memoryBroker();
    const { close } = coordinator;
    return { coordinator, standby: coordinator, agent: agent('a'), person: people, close };
  },
  settle: (promise) => promise,
});

busContract('NATS', {
  async open() {
    const broker = await startPrivateBroker();
    const { access } = broker;
    const coordinator = await coordinatorBus(access);
    const standby = await coordinatorBus(access);
    const agent = await agentBus(access, 'a');
    const person = await controlBus(access);
    const close = async () => {
      await Promise.all([coordinator, standby, agent, person].map((bus) => bus.close()));
      await broker.stop();
    };
    return { coordinator, standby, agent, person, close };
  },
  settle: (promise) => promise,
});
