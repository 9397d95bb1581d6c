/** How commands reach a broker: `--nats URL` everywhere, or TRANSECT_NATS. */
import type { Command } from 'commander';
import { natsBus } from '../../shared/bus/nats/nats-bus.js';
import type { Bus } from '../../shared/bus/ports.js';
import { option } from '../../shared/command/program.js';

const DEFAULT_NATS = 'nats://127.0.0.1:4222';

export interface NatsFlags {
  readonly nats: string;
}

export function addNatsOption(command: Command): Command {
  const nats = option('--nats <url>', 'the NATS server', undefined, DEFAULT_NATS);
  return command.addOption(nats.env('TRANSECT_NATS'));
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
