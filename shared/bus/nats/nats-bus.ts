/** The bus over NATS: one connection for each client, shared among the parts of its face. */

import { describeError } from '../../base/faults.js';
import { stopController } from '../../base/stop.js';
import type { BrokerAccess } from '../broker-access.js';
import { ANYONE } from '../control-api.js';
import type { AgentBus, ControlBus, CoordinatorBus } from '../interfaces.js';
import type { BrokerConnection } from './connection.js';
import { agentServer, announcements, coordinatorClient } from './nats-agent-api.js';
import { controlServer, NatsControl } from './nats-control.js';
import { enrolmentServer } from './nats-enrolment.js';
import { NatsResults, resultPublisher } from './nats-results.js';
import { openConnection, openStores } from './open-connection.js';
import { NatsExclusions } from './stores/nats-exclusions.js';
import { NatsLeader } from './stores/nats-leader.js';
import { NatsLeases } from './stores/nats-leases.js';
import { openReplication } from './stores/nats-replication.js';
import { openSpaces } from './stores/nats-spaces.js';
import { NatsSurveys } from './stores/nats-surveys.js';
import { hasStream, openBucket } from './streams.js';
import { BUCKET, STREAM } from './subjects.js';

/** The bus of an agent. @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function agentBus(access: BrokerAccess, agent: string): Promise<AgentBus> {
  const closing = stopController();
  const broker = await openConnection(access, agent, closing.signal);
  return {
    ...lifeOf(broker, closing),
    coordinator: coordinatorClient(broker, agent),
    results: resultPublisher(broker),
    announcements: (signal) => announcements(broker, signal),
  };
}

/** The bus of a coordinator. @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function coordinatorBus(access: BrokerAccess): Promise<CoordinatorBus> {
  const closing = stopController();
  const broker = await openStores(access, 'coordinator', closing.signal);
  return {
    ...lifeOf(broker, closing),
    agents: agentServer(broker),
    people: controlServer(broker),
    enrolments: enrolmentServer(broker),
    results: new NatsResults(broker),
    surveys: new NatsSurveys(broker, await openBucket(broker, BUCKET.SURVEYS)),
    spaces: await openSpaces(broker),
    leases: new NatsLeases(broker, await openBucket(broker, BUCKET.LEASES)),
    exclusions: new NatsExclusions(broker, await openBucket(broker, BUCKET.EXCLUSIONS)),
    leader: new NatsLeader(broker, await openBucket(broker, BUCKET.COORDINATOR)),
    openReplication: () => openReplication(broker),
    isReplicated: () => hasStream(broker.manager, STREAM.FILES),
  };
}

/** The bus of a command. @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function controlBus(access: BrokerAccess): Promise<ControlBus> {
  const closing = stopController();
  const broker = await openConnection(access, 'transect', closing.signal);
  return { ...lifeOf(broker, closing), control: new NatsControl(broker, access.name ?? ANYONE) };
}

function lifeOf({ connection }: BrokerConnection, closing: AbortController) {
  return {
    disconnected: connection
      .closed()
      .then((cause) => new Error(`the broker is gone: ${cause ? describeError(cause) : 'closed'}`)),
    async close() {
      closing.abort();
      await connection.flush().catch(() => {});
      await connection.close();
    },
  };
}
