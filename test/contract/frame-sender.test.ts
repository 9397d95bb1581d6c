/**
 * Runs the contract of frame senders with every transmit method, on a veth link in a network namespace of this
 * file's own.
 */
import { describe } from 'vitest';
import type { NextHopSetup } from '../../agent/transmit/link-header.js';
import { LINK_SENDERS } from '../../agent/transmit/open-frame-sender.js';
import { openRawIp } from '../../agent/transmit/raw-ip.js';
import { parseMac } from '../../shared/packet/ethernet.js';
import { enterOwnNetwork, ip, networkIsMissing } from '../support/own-network.js';
import { frameSenderContract } from './frame-sender.contract.js';

const LEFT = '02:00:00:00:00:01';
const RIGHT = '02:00:00:00:00:02';

function plugIn(): void {
  ip('link', 'set', 'left', 'up');
  ip('link', 'set', 'right', 'up');
  // Routes and neighbours vanish with the link.
  ip('route', 'replace', '198.18.0.0/15', 'via', '100.64.0.2');
  ip('neigh', 'replace', '100.64.0.2', 'lladdr', RIGHT, 'dev', 'left');
  ip('-6', 'address', 'replace', '2001:db8::1/64', 'dev', 'left', 'nodad');
  ip('-6', 'route', 'replace', '2001:db8:42::/48', 'via', '2001:db8::2');
  ip('-6', 'neigh', 'replace', '2001:db8::2', 'lladdr', RIGHT, 'dev', 'left');
}

describe.skipIf(networkIsMissing() !== undefined)('a frame sender', () => {
  if (networkIsMissing() !== undefined) return;
  enterOwnNetwork();
  ip('link', 'add', 'left', 'address', LEFT, 'type', 'veth', 'peer', 'right', 'address', RIGHT);
  ip('address', 'add', '100.64.0.1/24', 'dev', 'left');
  plugIn();

  for (const family of [4, 6] as const) {
    for (const vlan of [undefined, 42]) {
      for (const [name, open] of Object.entries(LINK_SENDERS)) {
        const nextHop = { source: parseMac(LEFT)!, gateway: parseMac(RIGHT)!, vlan };
        const setup = { device: 'left', queue: 0, nextHop } satisfies Partial<NextHopSetup>;
        const tag = vlan === undefined ? '' : `, VLAN ${vlan}`;
        frameSenderContract(`${name}, IPv${family}${tag}`, (rest) => open({ ...setup, ...rest }), {
          family,
          ...(vlan !== undefined && { vlan }),
          noticesTheOtherEnd: name !== 'pcap',
          replug: plugIn,
        });
      }
    }
    const raw = { device: 'left', queue: 0 };
    frameSenderContract(`raw-ip, IPv${family}`, (rest) => openRawIp({ ...raw, ...rest }), {
      family,
      noticesTheOtherEnd: false,
      replug: plugIn,
    });
  }
});
