/** `transect-agent canary`: answers for canaries; started by `transect canary serve`. */
import { stopController } from '../../shared/base/stop.js';
import { canarySecretOption, readCanarySecret } from '../../shared/command/canary-secret.js';
import { command, option, repeatable } from '../../shared/command/program.js';
import { onStopSignal } from '../../shared/command/signals.js';
import type { Prefix6 } from '../../shared/net/ipv6.js';
import { Canaries, parseCanaryPrefix } from '../../shared/survey/canaries.js';
import { interfaceIndex } from '../system/libc.js';
import { answerForCanaries } from './responder.js';

/** Octets of output that wait for a reader. */
const WAITING_MAX = 16 * 1024 * 1024;

interface CanaryFlags {
  readonly prefix: readonly Prefix6[];
  readonly secret: string;
  readonly device: string;
}

export function canaryCommand() {
  return command('canary', 'answer for canary addresses; prints a JSON line for each probe')
    .addOption(
      repeatable(
        '--prefix <cidr>',
        'a prefix of canaries, which is routed to this host',
        parseCanaryPrefix,
      ).makeOptionMandatory(),
    )
    .addOption(canarySecretOption())
    .addOption(option('--device <name>', 'the interface that probes reach').makeOptionMandatory())
    .action(serve);
}

async function serve({ prefix, secret, device }: CanaryFlags): Promise<void> {
  interfaceIndex(device); // refuses a name that does not exist
  const canaries = new Canaries(await readCanarySecret(secret));
  const stop = stopController();
  onStopSignal(() => stop.abort());
  process.stdout.on('error', () => stop.abort()); // its reader is gone
  let lost = 0;
  const onProbe = (probe: object) => {
    // A slow reader must not fill the memory.
    if (process.stdout.writableLength > WAITING_MAX) lost++;
    else process.stdout.write(`${JSON.stringify(probe)}\n`);
  };
  const working = answerForCanaries({ device, prefixes: prefix, canaries, onProbe }, stop.signal);
  process.stderr.write(`answering for canaries on ${device}\n`);
  await working;
  if (lost > 0)
    process.stderr.write(`${lost} probes are not in the output: its reader was too slow\n`);
}
