/**
 * Cost of a large survey for the coordinator: many agents and many shards, the real coordinator and the real
 * broker as processes of their own. Only the agents' network I/O is simulated.
 *     npm run bench:scale [AGENTS] [SHARDS] [SHARDS_PER_SECOND]
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { admit } from '../../coordinator/admission/admission.js';
import { startPrivateBroker } from '../../coordinator/cli/scan/private-broker.js';
import { SigningKey } from '../../coordinator/storage/signing-key.js';
import { SurveyFolder } from '../../coordinator/storage/survey-folder.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { systemRandom } from '../../shared/base/random.js';
import { controlBus, coordinatorBus } from '../../shared/bus/nats/nats-bus.js';
import { environmentFor } from '../../shared/command/broker-options.js';
import { systemDisk } from '../../shared/host/disk.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import { hashSpace, spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import { isOver } from '../../shared/survey/survey.js';
import { limitsOf, TCP_SYN } from '../../test/support/tcp-syn-set.js';

const [root = '.', agents = '1000', shards = '1000000', perSecond = '1000'] = process.argv.slice(2);
/** Many shards of few positions, because the cost per shard is measured. */
const SHARD_LENGTH = 64;
const REPORT_MILLIS = 10_000;
const TICKS_PER_SECOND = 100;

const broker = await startPrivateBroker();
const folder = `/tmp/transect-scale-${process.pid}`;
const bus = await coordinatorBus(broker.access);
const people = await controlBus(broker.access);
const children: ChildProcess[] = [];
try {
  const size = Number(shards) * SHARD_LENGTH;
  const ranges = Ranges.of([{ from: 0x7f000000, to: 0x7f000000 + size / 64 }]);
  const ports = Array.from({ length: 64 }, (_, i) => 1000 + i) as ProbePort[];
  const space = Space.ofIpv4(ranges, ports);
  const bytes = spaceToBytes(space, '7');
  const request = {
    name: 'scale',
    probes: TCP_SYN,
    probesPerTarget: 1,
    aliasLengths: [],
    crossCheckInterval: 0,
    limits: limitsOf(space),
    rate: (Number(perSecond) * SHARD_LENGTH) as Pps,
    cooldown: 0 as Millis,
    seed: '7',
    rows: 'all' as const,
    segmentFormat: 'parquet',
    contact: '',
    purpose: '',
    allowSpecial: ['127.0.0.0/8'],
    authorization: '',
    signature: '',
    spaceHash: hashSpace(bytes),
    rulesHash: hashSpace(bytes),
  };
  const plan = new Plan(space, '7', SHARD_LENGTH);
  const admitted = admit(request, space, { random: systemRandom, now: Date.now() }).survey;
  const survey = { ...admitted, shardLength: SHARD_LENGTH, planHash: plan.hash };
  const surveyFolder = new SurveyFolder(join(folder, survey.id), survey.segmentFormat, {
    ...{ disk: systemDisk, term: 1 },
    signingKey: new SigningKey(folder, systemDisk),
  });
  await surveyFolder.create(survey, { space: bytes, rules: undefined, isRestorable: true });
  await bus.spaces.put(survey.spaceHash, bytes);
  await bus.surveys.write(survey, 0);

  const coordinator = spawn(
    process.execPath,
    [join(root, 'dist/coordinator/cli/main.js'), 'coordinator', '--data', folder],
    { stdio: 'ignore', env: environmentFor(broker.url) },
  );
  children.push(coordinator);
  const script = new URL('./agents.js', import.meta.url).pathname;
  const many = spawn(process.execPath, [script, agents], {
    env: environmentFor(broker.url),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(many);
  await once(many.stdout, 'data');

  console.log(`### ${agents} agents, ${shards} shards\n`);
  console.log('| after (s) | shards stored | shards/s | coordinator CPU (cores) | RSS (MB) |');
  console.log('| --- | --- | --- | --- | --- |');
  const pid = coordinator.pid as number;
  const began = process.hrtime.bigint();
  let before = { stored: 0, cpu: await cpuSeconds(pid), at: began };
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, REPORT_MILLIS));
    const { statuses } = await people.control.ask('status', { survey: survey.id });
    const [status] = statuses;
    if (status === undefined) throw new Error('the survey is gone');
    const now = {
      stored: status.shardsStored,
      cpu: await cpuSeconds(pid),
      at: process.hrtime.bigint(),
    };
    const seconds = Number(now.at - before.at) / 1e9;
    const cells = [
      Math.round(Number(now.at - began) / 1e9),
      now.stored,
      Math.round((now.stored - before.stored) / seconds),
      ((now.cpu - before.cpu) / seconds).toFixed(2),
      Math.round(await residentMegabytes(pid)),
    ];
    console.log(`| ${cells.join(' | ')} |`);
    before = now;
    if (isOver(status.state)) break;
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  await people.close();
  await bus.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}

/** User and system time of a process (proc(5), fields 14 and 15 of `stat`). */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}
