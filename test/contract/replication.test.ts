import { startPrivateBroker } from '../../coordinator/cli/scan/private-broker.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import { coordinatorBus } from '../../shared/bus/nats/nats-bus.js';
import { replicationContract } from './replication.contract.js';

replicationContract('memory', {
  async open() {
    const log = await memoryBroker().coordinator.openReplication();
    return { leader: log, standby: log, close: async () => {} };
  },
});

replicationContract('NATS', {
  async open() {
    const broker = await startPrivateBroker();
    const buses = [await coordinatorBus(broker.access), await coordinatorBus(broker.access)];
    const [leader, standby] = await Promise.all(buses.map((bus) => bus.openReplication()));
    const close = async () => {
      await Promise.all(buses.map((bus) => bus.close()));
      await broker.stop();
    };
    return { leader: leader!, standby: standby!, close };
  },
});
