/** Replies to heartbeats, if the policy of a host names the keys of its coordinators. */
import { describe, expect, test } from 'vitest';
import { CoordinatorKeys } from '../../agent/policy/coordinator-keys.js';
import { agentHandlers, type Serving } from '../../coordinator/agent-handlers.js';
import { SigningKey } from '../../coordinator/storage/signing-key.js';
import { PROTOCOL } from '../../shared/base/version.js';
import { agentReplyCodec } from '../../shared/bus/agent-messages.js';
import type { Heartbeat, HeartbeatReply, SignedReply } from '../../shared/bus/heartbeat.js';
import { MemoryDisk } from '../support/memory-disk.js';

const REPLY: HeartbeatReply = {
  ...{ term: 3, protocol: PROTOCOL, surveys: [], forgotten: [], offered: ['s'], lost: [] },
  ...{ leases: [], exclusionsVersion: 2, exclusionsHead: 'ab'.repeat(32), gapMillis: 15 },
  grants: [
    {
      ...{ survey: 's', serial: 7, rate: 100, ttlMillis: 3000, exclusionsVersion: 2 },
      ...{ quarantineReason: '', releaseShards: [] },
    },
  ],
};
const heartbeatOf = (change: Partial<Heartbeat> = {}): Heartbeat => ({
  ...{ vantage: 'v', version: '1', protocol: PROTOCOL, session: 'x', sentAt: 12.5, invalid: 0 },
  ...{ state: 'working', problem: '', problemCode: '', known: [], activities: [] },
  wantsSignature: true,
  ...change,
});

/** A coordinator with a key of its own, and what it answers. */
async function coordinator() {
  const signingKey = new SigningKey('/data', new MemoryDisk());
  const leases = { onHeartbeat: async () => REPLY };
  const handlers = agentHandlers({ leases, signingKey } as unknown as Serving);
  const answer = async (heartbeat: Heartbeat, agent = 'a') => {
    const given = await handlers.heartbeat(agent, { heartbeat });
    return agentReplyCodec.decode(agentReplyCodec.encode(given));
  };
  return { key: await signingKey.fingerprint(), answer };
}

describe('the replies of coordinators', () => {
  test('count if one of their keys is in the policy, and are what the coordinator has answered', async () => {
    const [one, other] = [await coordinator(), await coordinator()];
    const keys = new CoordinatorKeys('a', [other.key, one.key]);
    expect(keys.areNeeded).toBe(true);
    const heartbeat = heartbeatOf();
    expect(keys.open(await one.answer(heartbeat), heartbeat)).toEqual(REPLY);
    expect(keys.open(await other.answer(heartbeat), heartbeat)).toEqual(REPLY);
    expect(keys.problem).toBe('');
  });

  test('need no signature without a policy, and have none', async () => {
    const keys = new CoordinatorKeys('a', undefined);
    const heartbeat = heartbeatOf({ wantsSignature: keys.areNeeded });
    const answer = await (await coordinator()).answer(heartbeat);
    expect(answer.signed).toBeUndefined();
    expect(keys.open(answer, heartbeat)).toEqual(REPLY);
  });

  test.each<[string, (signed: SignedReply) => object]>([
    ['without a signature', () => ({ heartbeat: REPLY, signed: undefined })],
    ['with an empty signature', (signed) => ({ signed: { ...signed, signature: '' } })],
    ['with a key that is none', (signed) => ({ signed: { ...signed, key: 'AAAA' } })],
    [
      'of which one octet was changed',
      (signed) => ({ signed: { ...signed, octets: signed.octets.map((o, i) => o ^ +(i === 9)) } }),
    ],
  ])('do not count %s', async (_what, change) => {
    const { key, answer } = await coordinator();
    const keys = new CoordinatorKeys('a', [key]);
    const heartbeat = heartbeatOf();
    const { signed } = await answer(heartbeat);
    expect(() => keys.open(change(signed as SignedReply), heartbeat)).toThrow('nothing is sent');
    expect(keys.problem).toContain('nothing is sent');
    expect(keys.open({ signed }, heartbeat)).toEqual(REPLY);
    expect(keys.problem).toBe('');
  });

  test('do not count if another coordinator signs them, or if they answer another heartbeat', async () => {
    const [one, other] = [await coordinator(), await coordinator()];
    const keys = new CoordinatorKeys('a', [one.key]);
    const heartbeat = heartbeatOf();
    const stranger = await other.answer(heartbeat);
    expect(() => keys.open(stranger, heartbeat)).toThrow(other.key);
    for (const earlier of [{ sentAt: 11.5 }, { session: 'y' }]) {
      const replayed = await one.answer(heartbeatOf(earlier));
      expect(() => keys.open(replayed, heartbeat)).toThrow('does not fit');
    }
    const forAnother = await one.answer(heartbeat, 'b');
    expect(() => keys.open(forAnother, heartbeat)).toThrow('does not fit');
  });
});
