/** The network I/O of a survey whose probes are sent from the main thread: no captures, and no ports of our own. */
import type { Words } from '../../shared/net/endpoint.js';
import { LinkMonitor } from '../egress/link-monitor.js';
import type { NetworkIo } from '../interfaces.js';
import type { DirectSender } from './direct-sender.js';

export interface DirectIoSetup {
  readonly sender: DirectSender;
  /** The interfaces that the probes use; each may be named several times. */
  readonly devices: readonly string[];
  /** Our source addresses. */
  readonly sources: readonly Words[];
  /** Shown to people before anything is sent. */
  readonly notes: readonly string[];
  readonly rules: Pick<NetworkIo, 'rules' | 'rulesHash'>;
}

export function directIo({ sender, devices, sources, notes, rules }: DirectIoSetup): NetworkIo {
  const monitor = new LinkMonitor([...new Set(devices)], sources);
  return {
    ports: { from: 0, to: 1 },
    captures: [],
    direct: {
      start(receive) {
        sender.onOutcome = receive;
      },
    },
    sender,
    isUp: () => monitor.isUp(),
    notes,
    ...rules,
  };
}
