/** Opens the network I/O of a survey whose probes are connections of the kernel: no capture, no raw socket. */
import { readFileSync } from 'node:fs';
import type { Clock } from '../../shared/base/clock.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { NetworkIo } from '../interfaces.js';
import type { SendFilterLists } from '../send/send-filter.js';
import { ConnectSender } from './connect-sender.js';

/** Connections in progress at once, if the limit of open files allows it. */
const SOCKETS_MAX = 1000;
/** Descriptors that are left for everything else. */
const FILES_KEPT = 100;
const NO_PORTS = { from: 0, to: 1 } as const;

export function openConnectIo(
  survey: Survey,
  plan: Plan,
  blocked: SendFilterLists,
  clock: Clock,
  rules: Pick<NetworkIo, 'rules' | 'rulesHash'>,
): NetworkIo {
  const socketsMax = Math.max(1, Math.min(SOCKETS_MAX, openFilesMax() - FILES_KEPT));
  const sender = new ConnectSender({ plan, clock, blocked, timeout: survey.cooldown, socketsMax });
  return {
    ports: NO_PORTS,
    captures: [],
    connections: {
      start(receive) {
        sender.onOutcome = receive;
      },
    },
    sender,
    isUp: () => true,
    notes: [],
    ...rules,
  };
}

function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? SOCKETS_MAX);
}
