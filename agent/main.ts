/** `transect-agent`: the edge of the agent. Flags become options, signals become one AbortSignal. */

import { hostname } from 'node:os';
import { requireNetRaw } from '../shared/base/capability.js';
import { systemClock } from '../shared/base/clock.js';
import { EXIT } from '../shared/base/exit.js';
import { Fault } from '../shared/base/faults.js';
import { shortId, systemRandom } from '../shared/base/random.js';
import { stopController } from '../shared/base/stop.js';
import { VERSION } from '../shared/base/version.js';
import { natsBus } from '../shared/bus/nats/nats-bus.js';
import {
  command,
  logLevelOption,
  natsOption,
  option,
  repeatable,
  runProgram,
} from '../shared/command/program.js';
import { parseIpv4 } from '../shared/net/address.js';
import { parsePorts } from '../shared/net/ports.js';
import { type MacAddress, parseMac } from '../shared/packet/ethernet.js';
import type { SourcePorts } from '../shared/probe/probe.js';
import { parseRate } from '../shared/survey/quantities.js';
import { type HttpAddress, parseHttpAddress, serveTelemetry } from '../shared/telemetry/http.js';
import { type LogLevel, openLog } from '../shared/telemetry/log.js';
import { Metrics } from '../shared/telemetry/metrics.js';
import { Agent } from './agent.js';
import { declareMetrics } from './metrics.js';
import { stationOpener } from './station.js';
import { interfaceIndex } from './wire/libc.js';
import type { WayOutOptions } from './wire/way-out.js';

interface AgentFlags {
  readonly nats: string;
  readonly vantage: string;
  readonly interface?: string;
  readonly sourceIp?: WayOutOptions['source'];
  readonly sourcePort?: SourcePorts;
  readonly gatewayMac?: MacAddress;
  readonly maxRate: number;
  readonly blocklistFile?: readonly string[];
  readonly http?: HttpAddress;
  readonly logLevel: LogLevel;
}

const ID_LETTERS = 5;
const VANTAGE = /^[A-Za-z0-9_-]{1,48}$/;

const program = command('transect-agent', 'probes for the coordinator on the same broker')
  .version(VERSION)
  .addOption(natsOption())
  .addOption(option('--vantage <label>', 'where this agent stands', parseVantage, defaultVantage()))
  .addOption(option('-i, --interface <name>', 'send and listen here (default: as routed)'))
  .addOption(option('-S, --source-ip <address>', 'our address (default: as routed)', parseIpv4))
  .addOption(
    option('-s, --source-port <ports>', 'our ports: 50000 or 50000-50999', parseSourcePorts),
  )
  .addOption(option('-G, --gateway-mac <mac>', 'the next hop’s address on the link', parseGateway))
  .addOption(option('--max-rate <pps>', 'never send faster (default: no limit)', parseRate, 0))
  .addOption(
    repeatable('-b, --blocklist-file <file>', 'ranges this agent never probes', (file) => file),
  )
  .addOption(option('--http <host:port>', 'serve /metrics and /healthz', parseHttpAddress))
  .addOption(logLevelOption())
  .action(run);

process.exit(await runProgram(program, process.argv.slice(2)));

async function run(flags: AgentFlags): Promise<void> {
  requireNetRaw();
  if (flags.interface !== undefined) interfaceIndex(flags.interface);
  const openStation = await stationOpener(
    {
      device: flags.interface,
      source: flags.sourceIp,
      sourcePorts: flags.sourcePort,
      gatewayMac: flags.gatewayMac,
    },
    flags.blocklistFile ?? [],
    systemClock,
  );
  const agent = `${flags.vantage}-${shortId(systemRandom, ID_LETTERS)}`;
  const log = openLog('agent', flags.logLevel).child({ agent });
  const bus = await natsBus(flags.nats, agent);
  const options = { agent, vantage: flags.vantage, version: VERSION, ceiling: flags.maxRate };
  const working = new Agent(options, { bus, clock: systemClock, log, openStation });
  const metrics = new Metrics();
  declareMetrics(metrics, working);
  const health = { trouble: () => working.trouble || undefined };
  const http = flags.http && (await serveTelemetry(flags.http, metrics, health));
  const stop = stopController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      process.once(name, () => process.exit(EXIT.STOPPED));
      stop.abort();
    });
  }
  const lost = bus.lost.then((error) => {
    if (!stop.signal.aborted) throw new Fault('BROKER_UNREACHABLE', error.message);
  });
  log.info({ nats: flags.nats, vantage: flags.vantage, version: VERSION }, 'agent ready');
  await Promise.race([working.run(stop.signal), lost]);
  await http?.close();
  await bus.close();
}

function parseVantage(text: string): string {
  if (VANTAGE.test(text)) return text;
  const why = 'a vantage is a label of letters, digits, - and _, at most 48';
  throw new Fault('BAD_OPTION', why, { value: text });
}

function defaultVantage(): string {
  return hostname()
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .slice(0, 48);
}

function parseSourcePorts(text: string): SourcePorts {
  const ports = parsePorts(text);
  const [from] = ports;
  const last = ports.at(-1);
  if (from !== undefined && last !== undefined && last - from === ports.length - 1) {
    return { from, to: last + 1 };
  }
  throw new Fault('BAD_OPTION', 'source ports are one port or one range', { value: text });
}

function parseGateway(text: string): MacAddress {
  const address = parseMac(text);
  if (address !== undefined) return address;
  const why = 'not an Ethernet address (six pairs of hexadecimal digits with colons)';
  throw new Fault('BAD_OPTION', why, { value: text });
}
