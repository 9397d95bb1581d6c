/** The bus over NATS JetStream: opens one connection and hands it to each part. */

import type { BrokerAccess } from '../../base/broker.js';
import { describeError } from '../../base/faults.js';
import { stopController } from '../../base/stop.js';
import { grantCodec, heartbeatCodec } from '../messages.js';
import type { Bus, Grant, Heartbeat, RateBoard, RollCall } from '../ports.js';
import { type Link, openBucket, openLink } from './link.js';
import { BUCKET, SUBJECT } from './names.js';
import { NatsControl } from './nats-control.js';
import { NatsExclusions } from './nats-exclusions.js';
import { NatsLeases } from './nats-leases.js';
import { NatsResults } from './nats-results.js';
import { NatsSeat } from './nats-seat.js';
import { openSpaces } from './nats-spaces.js';
import { NatsSurveys } from './nats-surveys.js';
import { NatsWork } from './nats-work.js';
import { listen } from './subscribe.js';

/** @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function natsBus(access: BrokerAccess, name: string): Promise<Bus> {
  const closing = stopController();
  const link = await openLink(access, name, closing.signal);
  const { connection } = link;
  const seat = new NatsSeat(link, await openBucket(link, BUCKET.COORDINATOR));
  return {
    surveys: new NatsSurveys(link, await openBucket(link, BUCKET.SURVEYS)),
    spaces: await openSpaces(link),
    work: new NatsWork(link),
    leases: new NatsLeases(link, await openBucket(link, BUCKET.LEASES)),
    results: new NatsResults(link),
    rollCall: rollCall(link),
    rates: rateBoard(link),
    control: new NatsControl(link, seat),
    exclusions: new NatsExclusions(link, await openBucket(link, BUCKET.EXCLUSIONS)),
    seat,
    lost: connection
      .closed()
      .then((cause) => new Error(`the broker is gone: ${cause ? describeError(cause) : 'closed'}`)),
    async close() {
      closing.abort();
      await connection.flush().catch(() => {});
      await connection.close();
    },
  };
}

function rollCall(link: Link): RollCall {
  return {
    report(heartbeat: Heartbeat) {
      link.connection.publish(SUBJECT.telemetry(heartbeat.agent), heartbeatCodec.encode(heartbeat));
    },
    hear: (signal) => {
      const subjectOf = ({ agent }: Heartbeat) => SUBJECT.telemetry(agent);
      return listen(
        link,
        { subject: SUBJECT.TELEMETRY_ALL, codec: heartbeatCodec, subjectOf },
        signal,
      );
    },
  };
}

function rateBoard(link: Link): RateBoard {
  return {
    lend(grant: Grant) {
      link.connection.publish(SUBJECT.grant(grant.survey, grant.agent), grantCodec.encode(grant));
    },
    grants: (agent, signal) => {
      const subjectOf = (grant: Grant) => SUBJECT.grant(grant.survey, grant.agent);
      return listen(
        link,
        { subject: SUBJECT.grantsTo(agent), codec: grantCodec, subjectOf },
        signal,
      );
    },
  };
}
