/**
 * Joining: this host makes a key pair, sends the public half, and waits until an operator accepts it. The secret half
 * never leaves the host.
 */
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.js';
import { describeError, Fault } from '../base/faults.js';
import { enrol, isAccepted } from '../bus/nats/nats-enrolment.js';
import { newNkey } from '../bus/nats/nkeys.js';
import type { Disk } from '../host/disk.js';
import { accessOf, type Login, loginToText } from './login-file.js';

export interface JoinDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  /** Shows a line to the person who waits. */
  readonly say: (line: string) => void;
}

/** An enrolment is sent again at this interval, because the coordinator may not run yet. */
const AGAIN_MILLIS = 2000;
const HOST_LENGTH = 64;

/**
 * Makes a key for a login, and waits until the broker accepts it.
 * @param known the login that sends the enrolment: an invitation, or the login whose key is replaced
 * @param file the login file to write, once the key is accepted
 * @param waitMillis after this time, it gives up
 * @throws Fault BROKER_REFUSED if nobody has accepted the key in time
 */
export async function join(
  known: Login,
  file: string,
  waitMillis: number,
  { clock, disk, say }: JoinDeps,
): Promise<void> {
  const { seed, key } = newNkey();
  const login: Login = { ...known, seed };
  // Under another name first: until the key is accepted, an earlier login stays in force.
  const waiting = `${file}.new`;
  await disk.writeSecret(waiting, loginToText(login));
  say(`public key of ${known.name}: ${key}`);
  say(`waiting until an operator runs: transect auth accept ${known.name}`);
  const giveUpAt = clock.monotonic() + waitMillis;
  let problem = '';
  for (;;) {
    if (await isAccepted(accessOf(login)).catch(() => false)) break;
    if (clock.monotonic() > giveUpAt) {
      await disk.remove(waiting);
      const reason = `nobody has accepted the key in time${problem === '' ? '' : ` (${problem})`}`;
      throw new Fault('BROKER_REFUSED', reason, { value: known.name });
    }
    const host = hostname()
      .replace(/[^\w.-]/g, '')
      .slice(0, HOST_LENGTH);
    problem = await enrol(accessOf(known), { name: known.name, key, host, at: 0 }).then(
      () => '',
      describeError,
    );
    await clock.sleep(AGAIN_MILLIS);
  }
  await disk.writeSecret(file, loginToText(login));
  await disk.remove(waiting);
}
