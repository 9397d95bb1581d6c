/** Enrolment over core NATS: those who were invited send a public key, on a subject that names the login. */
import { NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node';
import { Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import { stopController } from '../../base/stop.js';
import type { BrokerAccess } from '../broker-access.js';
import type { Enrolment } from '../control-api.js';
import { enrolmentCodec } from '../control-messages.js';
import type { EnrolmentServer } from '../interfaces.js';
import type { BrokerConnection } from './connection.js';
import { openConnection } from './open-connection.js';
import { SUBJECT } from './subjects.js';
import { decodeOrSkip } from './subscribe.js';

/** Sends our public key. @throws Fault BROKER_UNREACHABLE, BROKER_REFUSED, or NO_COORDINATOR if none has taken it */
export async function enrol(access: BrokerAccess, enrolment: Enrolment): Promise<void> {
  const closing = stopController();
  const { connection } = await openConnection(access, enrolment.name, closing.signal);
  try {
    const options = { timeout: LIMITS.requestMillis };
    await connection.request(
      SUBJECT.enrol(enrolment.name),
      enrolmentCodec.encode(enrolment),
      options,
    );
  } catch (cause) {
    const isSilence =
      cause instanceof NoRespondersError ||
      cause instanceof TimeoutError ||
      cause instanceof RequestError;
    if (!isSilence) throw cause;
    throw new Fault('NO_COORDINATOR', 'no coordinator answers', {}, cause);
  } finally {
    await connection.close();
  }
}

/** True if the broker accepts a login. @throws Fault BROKER_UNREACHABLE */
export async function isAccepted(access: BrokerAccess): Promise<boolean> {
  try {
    const { connection } = await openConnection(access, access.name ?? '', stopController().signal);
    await connection.close();
    return true;
  } catch (error) {
    if (error instanceof Fault && error.code === 'BROKER_REFUSED') return false;
    throw error;
  }
}

export function enrolmentServer({ connection }: BrokerConnection): EnrolmentServer {
  return {
    serve(onEnrolment, signal) {
      const subscription = connection.subscribe(SUBJECT.ENROLS_ALL, {
        callback(error, message) {
          const enrolment = error === null ? decodeOrSkip(enrolmentCodec, message.data) : undefined;
          if (enrolment === undefined || message.subject !== SUBJECT.enrol(enrolment.name)) return;
          onEnrolment(enrolment);
          message.respond();
        },
      });
      signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
    },
  };
}
