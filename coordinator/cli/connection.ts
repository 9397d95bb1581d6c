/** How commands reach a broker: `--nats URL` everywhere, or TRANSECT_NATS. */
import type { Command } from 'commander';
import { natsBus } from '../../shared/bus/nats/nats-bus.js';
import type { Bus } from '../../shared/bus/ports.js';
import { natsOption } from '../../shared/command/program.js';

export interface NatsFlags {
  readonly nats: string;
}

export function addNatsOption(command: Command): Command {
  return command.addOption(natsOption());
}

/** Connects, works, and closes whatever happens. @throws Fault BROKER_UNREACHABLE */
export async function withBus<Result>(
  { nats }: NatsFlags,
  work: (bus: Bus) => Promise<Result>,
): Promise<Result> {
  const bus = await natsBus(nats, 'transect');
  try {
    return await work(bus);
  } finally {
    await bus.close();
  }
}
