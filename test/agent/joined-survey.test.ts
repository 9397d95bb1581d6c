import { describe, expect, test } from 'vitest';
import type { Capture, Sender } from '../../agent/interfaces.js';
import { JoinedSurveys, joinSurvey } from '../../agent/joined-surveys.js';
import { NO_POLICY } from '../../agent/policy/host-policy.js';
import { admit } from '../../coordinator/admission/admission.js';
import { agentHandlers, type Serving } from '../../coordinator/agent-handlers.js';
import { AgentRegistry } from '../../coordinator/agents/agent-registry.js';
import { LeaseService } from '../../coordinator/lease-service.js';
import { SigningKey } from '../../coordinator/storage/signing-key.js';
import type { SurveyRun } from '../../coordinator/survey/survey-run.js';
import { Uploads } from '../../coordinator/uploads.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { systemClock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';
import type { CoordinatorClient } from '../../shared/bus/agent-api.js';
import { memoryBroker } from '../../shared/bus/memory/memory-broker.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Exclusions } from '../../shared/survey/policy/exclusions.js';
import { Space } from '../../shared/survey/space/space.js';
import { hashSpace, spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';

const space = Space.ofIpv4(Ranges.of([{ from: 0x7f010000, to: 0x7f010100 }]), [80] as ProbePort[]);
const bytes = spaceToBytes(space, '7');
const { survey } = admit(
  {
    name: '',
    probes: TCP_SYN,
    probesPerTarget: 1,
    aliasLengths: [],
    crossCheckInterval: 0,
    limits: limitsOf(space),
    rate: 1000 as Pps,
    cooldown: 1000 as Millis,
    seed: '7',
    rows: 'all',
    segmentFormat: 'csv',
    contact: '',
    purpose: '',
    allowSpecial: ['127.0.0.0/8'],
    authorization: '',
    signature: '',
    spaceHash: hashSpace(bytes),
    rulesHash: hashSpace(bytes),
  },
  space,
  { random: { bytes: (length) => new Uint8Array(length) }, now: 1 },
);

/** A client of a coordinator that runs the survey with this space. */
function clientOf(space: Uint8Array | undefined): CoordinatorClient {
  const broker = memoryBroker();
  const run = { survey, space } as unknown as SurveyRun;
  const running = new Map(space === undefined ? [] : [[survey.id, run]]);
  const agents = new AgentRegistry(systemClock);
  const leases = new LeaseService({
    ...{ clock: systemClock, term: 1, agents, running },
    exclusions: new Exclusions(),
  });
  const uploads = new Uploads(broker.coordinator.spaces, systemClock);
  const signingKey = new SigningKey('/data', new MemoryDisk());
  const serving: Serving = { leases, exclusions: { list: new Exclusions() }, uploads, signingKey };
  broker.coordinator.agents.serve(agentHandlers(serving), stopController().signal);
  return broker.agent('a').coordinator;
}

describe('an agent that joins a survey', () => {
  const deps = { clock: systemClock, admit: () => undefined };
  const unroutable = async () => {
    throw new Error('no network I/O is opened');
  };

  test('refuses a plan that it computes differently, before it opens anything', async () => {
    const client = clientOf(bytes);
    for (const other of [{ planHash: '0'.repeat(64) }, { seed: '8' }, { shardLength: 128 }]) {
      const opening = joinSurvey(
        client,
        { ...survey, ...other },
        { ...deps, openNetworkIo: unroutable },
      );
      await expect(opening).rejects.toMatchObject({ code: 'PLAN_MISMATCH' });
    }
    const opening = joinSurvey(client, survey, { ...deps, openNetworkIo: unroutable });
    await expect(opening).rejects.toThrow('no network I/O is opened');
  });

  test('caps the survey at its share of the agent’s ceiling at once, whatever was granted', async () => {
    const client = clientOf(bytes);
    const granted: number[] = [];
    const sender = { grant: (rate: number) => granted.push(rate) } as unknown as Sender;
    const openNetworkIo = async () => ({
      sender,
      ports: { from: 61000, to: 61064 },
      captures: [],
      isUp: () => true,
      notes: [],
      rules: undefined,
      rulesHash: '',
    });
    const joined = await joinSurvey(client, survey, { ...deps, openNetworkIo });
    joined.setCeiling(1000); // nothing is granted yet
    const grant = { survey: survey.id, serial: 1, rate: 5000, ttlMillis: 3000 };
    const rest = { exclusionsVersion: 0, quarantineReason: '', releaseShards: [] };
    joined.onGrant({ ...grant, ...rest }, 0, 0);
    joined.setCeiling(500); // another survey needs half of it
    joined.setCeiling(500);
    expect(granted).toEqual([1000, 500]);
  });

  test('refuses a space whose bytes do not match its hash', async () => {
    const other = Space.ofIpv4(Ranges.of([{ from: 0x08080808, to: 0x08080809 }]), [
      80,
    ] as ProbePort[]);
    const client = clientOf(spaceToBytes(other, '7'));
    const opening = joinSurvey(client, survey, { ...deps, openNetworkIo: unroutable });
    await expect(opening).rejects.toMatchObject({ code: 'BAD_MESSAGE' });
  });

  test('closes its network I/O again if the coordinator does not take its own blocklist', async () => {
    const client = clientOf(bytes);
    const closed: string[] = [];
    const openNetworkIo = async () => ({
      sender: { close: async () => closed.push('sender') } as unknown as Sender,
      ports: { from: 61000, to: 61064 },
      captures: [{ close: () => closed.push('capture') } as unknown as Capture],
      isUp: () => true,
      notes: [],
      rules: bytes,
      rulesHash: hashSpace(bytes),
    });
    const refusing: CoordinatorClient = {
      ask: async (verb, ask) => {
        if (verb === 'rules') throw new Error('not permitted');
        return await client.ask(verb, ask);
      },
    };
    const opening = joinSurvey(refusing, survey, { ...deps, openNetworkIo });
    await expect(opening).rejects.toThrow('not permitted');
    expect(closed).toEqual(['capture', 'sender']);
  });

  test('refuses a survey whose space the coordinator does not have', async () => {
    const opening = joinSurvey(clientOf(undefined), survey, { ...deps, openNetworkIo: unroutable });
    await expect(opening).rejects.toMatchObject({ code: 'MISSING_SPACE' });
  });

  test('refuses a survey of another protocol version as soon as it is launched', () => {
    const given = { bus: memoryBroker().agent('a'), clock: systemClock, log: silentLog };
    const own = { openNetworkIo: unroutable, policy: NO_POLICY, agent: 'a' };
    const surveys = new JoinedSurveys({ ...given, ...own }, new Exclusions());
    surveys.onSurveyChange({ ...survey, protocol: survey.protocol - 1 }, 1);
    expect(surveys.canLease(survey.id)).toBe(false);
    expect(surveys.problemCode).toBe('VERSION_SKEW');
    expect(surveys.problem).toMatch(/this agent has protocol \d+ and the coordinator \d+/);
    surveys.forget(survey.id);
    expect(surveys.isActive(survey.id)).toBe(false);
  });
});
