/** Setup of a sender thread for one survey, as data that can be cloned. */
import type { TransmitMethod } from '../../shared/command/network-options.js';
import type { PortRange } from '../../shared/net/ports.js';
import type { ProbeChoice } from '../../shared/probe/probe-set.js';
import type { EgressRoute } from '../egress/egress-plan.js';
import type { SendFilterLists } from './send-filter.js';

export interface SenderSetup {
  readonly space: Uint8Array;
  readonly seed: string;
  readonly shardLength: number;
  /** Targets of the plan. */
  readonly targets: number;
  readonly probes: readonly ProbeChoice[];
  readonly routes: readonly EgressRoute[];
  /** True if the routes serve every target. */
  readonly coversAll: boolean;
  readonly ports: PortRange;
  /** The method that the operator chose; undefined for the fastest. */
  readonly transmit: TransmitMethod | undefined;
  /** Memory of the `SlowedNetworks`. */
  readonly slowed: SharedArrayBuffer;
  /** Addresses that must not be probed, whatever the exclusions. */
  readonly blocked: SendFilterLists;
}
