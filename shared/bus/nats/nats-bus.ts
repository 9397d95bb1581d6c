/** The bus over NATS JetStream: opens one connection and shares it among the parts. */

import type { BrokerAccess } from '../../base/broker-access.js';
import { describeError } from '../../base/faults.js';
import { stopController } from '../../base/stop.js';
import type { Grant, Heartbeat } from '../heartbeat.js';
import type { Bus, GrantChannel, Heartbeats } from '../interfaces.js';
import { grantCodec, heartbeatCodec } from '../messages.js';
import type { BrokerConnection } from './connection.js';
import { NatsControl } from './nats-control.js';
import { NatsResults } from './nats-results.js';
import { NatsWork } from './nats-work.js';
import { openConnection } from './open-connection.js';
import { NatsExclusions } from './stores/nats-exclusions.js';
import { NatsLeader } from './stores/nats-leader.js';
import { NatsLeases } from './stores/nats-leases.js';
import { openSpaces } from './stores/nats-spaces.js';
import { NatsSurveys } from './stores/nats-surveys.js';
import { openBucket } from './streams.js';
import { BUCKET, SUBJECT } from './subjects.js';
import { listen } from './subscribe.js';

/** @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function natsBus(access: BrokerAccess, name: string): Promise<Bus> {
  const closing = stopController();
  const broker = await openConnection(access, name, closing.signal);
  const { connection } = broker;
  const leader = new NatsLeader(broker, await openBucket(broker, BUCKET.COORDINATOR));
  return {
    surveys: new NatsSurveys(broker, await openBucket(broker, BUCKET.SURVEYS)),
    spaces: await openSpaces(broker),
    work: new NatsWork(broker),
    leases: new NatsLeases(broker, await openBucket(broker, BUCKET.LEASES)),
    results: new NatsResults(broker),
    heartbeats: heartbeats(broker),
    grants: grantsPort(broker),
    control: new NatsControl(broker, leader),
    exclusions: new NatsExclusions(broker, await openBucket(broker, BUCKET.EXCLUSIONS)),
    leader,
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

function heartbeats(broker: BrokerConnection): Heartbeats {
  return {
    publish(heartbeat: Heartbeat) {
      broker.connection.publish(
        SUBJECT.heartbeat(heartbeat.agent),
        heartbeatCodec.encode(heartbeat),
      );
    },
    subscribe: (signal) => {
      const subjectOf = ({ agent }: Heartbeat) => SUBJECT.heartbeat(agent);
      return listen(
        broker,
        { subject: SUBJECT.HEARTBEATS_ALL, codec: heartbeatCodec, subjectOf },
        signal,
      );
    },
  };
}

function grantsPort(broker: BrokerConnection): GrantChannel {
  return {
    publish(grant: Grant) {
      broker.connection.publish(SUBJECT.grant(grant.survey, grant.agent), grantCodec.encode(grant));
    },
    subscribe: (agent, signal) => {
      const subjectOf = (grant: Grant) => SUBJECT.grant(grant.survey, grant.agent);
      return listen(
        broker,
        { subject: SUBJECT.grantsTo(agent), codec: grantCodec, subjectOf },
        signal,
      );
    },
  };
}
