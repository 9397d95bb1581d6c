import { describe, expect, test } from 'vitest';
import { admit } from '../../coordinator/admission/admission.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Space } from '../../shared/survey/space/space.js';
import type { SurveyRequest } from '../../shared/survey/survey.js';
import { limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';

const request: SurveyRequest = {
  name: '',
  probes: TCP_SYN,
  probesPerTarget: 1,
  aliasLengths: [],
  crossCheckInterval: 0,
  limits: limitsOf({ size: 1 }),
  rate: 1000 as Pps,
  cooldown: 8000 as Millis,
  seed: '7',
  rows: 'all',
  segmentFormat: 'csv',
  authorization: '',
  signature: '',
  contact: '',
  purpose: '',
  allowSpecial: [],
  spaceHash: 'a'.repeat(64),
  rulesHash: 'a'.repeat(64),
};
const random = { bytes: (length: number) => new Uint8Array(length).fill(3) };
const spaceOf = (...prefixes: string[]) =>
  Space.ofIpv4(Ranges.of(prefixes.map(parseRange)), [443] as ProbePort[]);
const admitting = (changes: Partial<SurveyRequest>, space: Space) => () =>
  admit({ ...request, limits: limitsOf(space), ...changes }, space, { random, now: 1 });

describe('admission', () => {
  test('refuses special-purpose addresses that the survey does not allow explicitly', () => {
    const space = spaceOf('127.1.0.0/24');
    expect(admitting({}, space)).toThrow(expect.objectContaining({ code: 'SPECIAL_TARGETS' }));
    expect(admitting({ allowSpecial: ['127.1.0.0/25'] }, space)).toThrow(
      expect.objectContaining({ details: { flag: '--allow-special', value: '127.1.0.128/25' } }),
    );
    expect(admitting({ allowSpecial: ['127.0.0.0/8'] }, space)).not.toThrow();
  });

  test('refuses public addresses without contact and purpose, and says which is missing', () => {
    const space = spaceOf('9.9.9.0/24');
    const anonymous = (text: string) =>
      expect.objectContaining({
        code: 'ANONYMOUS_SURVEY',
        message: expect.stringContaining(text),
      });
    expect(admitting({}, space)).toThrow(anonymous('--contact and --purpose'));
    expect(admitting({ contact: 'a@b.org' }, space)).toThrow(anonymous('needs --purpose'));
    expect(admitting({ contact: ' ', purpose: 'study' }, space)).toThrow(
      anonymous('needs --contact'),
    );
    expect(admitting({ contact: 'a@b.org', purpose: 'study' }, space)).not.toThrow();
  });

  test('refuses a target limit above the number of targets, and any probe whose options are not resolved', () => {
    const space = spaceOf('198.18.0.0/30');
    const allowSpecial = ['198.18.0.0/15'];
    const beyond = { allowSpecial, limits: { ...limitsOf(space), maxTargets: 5 } };
    expect(admitting(beyond, space)).toThrow(
      expect.objectContaining({ details: { flag: '--max-targets', value: '5' } }),
    );
    const udp = (payload: string) => [{ name: 'udp', options: { payload } }];
    expect(admitting({ allowSpecial, probes: udp('dns') }, space)).toThrow(/depend on the port/);
    expect(admitting({ allowSpecial, probes: udp('by-port') }, space)).toThrow(
      /depend on the port/,
    );
    expect(admitting({ allowSpecial, probes: udp('hex:00ff') }, space)).not.toThrow();
    expect(
      admitting({ allowSpecial, probes: [{ name: 'icmp-echo', options: {} }] }, space),
    ).toThrow(/do not fit the probes/);
  });

  test('refuses a minimum hit rate if the probes disagree about which class is a hit, or if no class is one', () => {
    const space = spaceOf('198.18.0.0/24');
    const limits = { ...limitsOf(space), minHitrate: 1 };
    const asked = (...names: string[]) => {
      const probes = names.map((name) => ({ name, options: {} }));
      return admitting({ allowSpecial: ['198.18.0.0/15'], limits, probes }, space);
    };
    expect(asked('tcp-syn')).not.toThrow();
    expect(asked('tcp-syn', 'tcp-ack')).toThrow(/rst is a success of one probe/);
    expect(asked('tcp-fin')).toThrow(/there is no hit rate/);
  });

  test('takes any rate without delay', () => {
    const space = spaceOf('198.18.0.0/24');
    for (const rate of [1e-300, 1, 1e9, 1.7e308]) {
      const changes = { allowSpecial: ['198.18.0.0/15'], rate: rate as Pps };
      expect(admitting(changes, space)().plan.shardCount).toBeGreaterThan(0);
    }
  });

  test('gives an admitted survey the hash of its plan', () => {
    const { survey, plan } = admit(
      { ...request, allowSpecial: ['198.18.0.0/15'] },
      spaceOf('198.18.0.0/16'),
      { random, now: 1 },
    );
    expect(survey.planHash).toBe(plan.hash);
    expect(survey.state).toBe('running');
    expect(survey.probes).toEqual([{ name: 'tcp-syn', options: { layout: 'mss', ttl: '64' } }]);
  });

  test('refuses an unknown probe or probe option', () => {
    const space = spaceOf('198.18.0.0/16');
    expect(admitting({ probes: [{ name: 'nope', options: {} }] }, space)).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    );
    expect(admitting({ probes: [{ name: 'tcp-syn', options: { ttl: '999' } }] }, space)).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    );
  });
});
