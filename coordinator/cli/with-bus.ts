/** Connects commands to the broker. */

import type { ControlBus } from '../../shared/bus/interfaces.js';
import { controlBus } from '../../shared/bus/nats/nats-bus.js';
import { type BrokerFlags, brokerAccess } from '../../shared/command/broker-options.js';

export { addBrokerOptions, type BrokerFlags } from '../../shared/command/broker-options.js';

/** Help on an argument that names a survey. */
export const ABOUT_SURVEY = 'its id, its name, or the start of its id';

/**
 * Connects to the broker, calls `work`, and closes the connection even if `work` fails.
 * @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED
 */
export async function withBus<Result>(
  flags: BrokerFlags,
  work: (bus: ControlBus) => Promise<Result>,
): Promise<Result> {
  const bus = await controlBus(brokerAccess(flags, 'person'));
  try {
    return await work(bus);
  } finally {
    await bus.close();
  }
}

/** The flags of a command, without those of the broker. */
export function withoutBroker<Flags extends BrokerFlags>(
  flags: Flags,
): Omit<Flags, keyof BrokerFlags> {
  const isBrokers = (name: string) => name === 'login' || name.startsWith('nats');
  const entries = Object.entries(flags).filter(([name]) => !isBrokers(name));
  return Object.fromEntries(entries) as Omit<Flags, keyof BrokerFlags>;
}
