/** Opens an agent's station for a survey on the real network: way out, sender thread, capture. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import { Ranges } from '../shared/net/ranges.js';
import { probeNamed } from '../shared/probe/catalogue.js';
import type { Plan } from '../shared/survey/plan.js';
import { Blocklist } from '../shared/survey/space/blocklist.js';
import { spaceToBytes } from '../shared/survey/space/space-bytes.js';
import { forbiddenIpv4 } from '../shared/survey/space/special-purpose.js';
import type { Survey } from '../shared/survey/survey.js';
import { parseBlockList } from '../shared/survey/target-list.js';
import type { OpenStation, Station } from './ports.js';
import { startSender } from './send/sender-thread.js';
import type { SenderSetup } from './sender-worker.js';
import { openCapture } from './wire/pcap-capture.js';
import { findWayOut, type WayOutOptions } from './wire/way-out.js';

const SCRIPT = new URL('./sender-worker.js', import.meta.url);

/** @throws Fault UNREADABLE_FILE or BAD_LIST about this agent's own blocklists */
export async function stationOpener(
  options: WayOutOptions,
  blocklists: readonly string[],
  clock: Clock,
): Promise<OpenStation> {
  const own = await readBlocklists(blocklists);
  return async (survey: Survey, plan: Plan): Promise<Station> => {
    const wayOut = await findWayOut(plan.space.ipv4Addresses, options, clock);
    const { device, origin } = wayOut;
    // The capture listens before the first probe leaves.
    const capture = openCapture(device, probeNamed(survey.probe).captureFilter(origin));
    const blocked = Ranges.of([...forbiddenIpv4(survey.allowSpecial), ...own]);
    const setup: SenderSetup = {
      space: spaceToBytes(plan.space, survey.seed),
      seed: survey.seed,
      shardLength: survey.shardLength,
      probe: survey.probe,
      probeOptions: survey.probeOptions,
      key: survey.key,
      wayOut,
      blocked: { from: blocked.from, to: blocked.to },
    };
    try {
      // A sender that dies takes its agent along: what it held is settled by others.
      const onDeath = (reason: Error) => {
        throw reason;
      };
      return { origin, capture, sender: await startSender(SCRIPT, setup, onDeath) };
    } catch (error) {
      capture.close();
      throw error;
    }
  };
}

async function readBlocklists(files: readonly string[]): Promise<Ranges> {
  const lists = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(file, 'utf8').catch((cause: unknown) => {
        const why = `cannot read the file: ${describeError(cause)}`;
        throw new Fault('UNREADABLE_FILE', why, { flag: '--blocklist-file', file }, cause);
      });
      return parseBlockList(text, file);
    }),
  );
  return Blocklist.of(lists.flat()).ipv4;
}
