/** Authorizations: SSH signatures as ssh-keygen makes them, the keys that may sign, and what is signed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkSurvey, type HostPolicy, NO_POLICY } from '../../agent/policy/host-policy.js';
import { readPolicy } from '../../agent/policy/policy-file.js';
import { admit } from '../../coordinator/admission/admission.js';
import { parseAllowedSigners, principalsOf } from '../../shared/authorization/allowed-signers.js';
import {
  type Authorization,
  authorizationText,
  checkAuthorization,
  NAMESPACE,
  refuseRateAbove,
} from '../../shared/authorization/authorization.js';
import { signerOf } from '../../shared/authorization/ssh-signature.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import { isoTime } from '../../shared/base/clock.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Space } from '../../shared/survey/space/space.js';
import { hashSpace, spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import type { SurveyRequest } from '../../shared/survey/survey.js';
import { limitsOf, TCP_SYN } from '../support/tcp-syn-set.js';

let folder: string;
let signers: ReturnType<typeof parseAllowedSigners>;
const at = (name: string) => join(folder, name);
const keygen = (...args: string[]) => execFileSync('ssh-keygen', args, { stdio: 'pipe' });
const publicKey = (name: string) =>
  readFileSync(at(`${name}.pub`), 'utf8')
    .split(' ')
    .slice(0, 2)
    .join(' ');

/** The signature of a text by a key of the test. */
function sign(text: string, key = 'ada', namespace = NAMESPACE): string {
  writeFileSync(at('text'), text);
  rmSync(at('text.sig'), { force: true });
  keygen('-Y', 'sign', '-n', namespace, '-f', at(key), at('text'));
  return readFileSync(at('text.sig'), 'utf8');
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'transect-ssh-'));
  for (const name of ['ada', 'eve']) keygen('-q', '-t', 'ed25519', '-N', '', '-f', at(name));
  keygen('-q', '-t', 'ecdsa', '-N', '', '-f', at('curve'));
  signers = parseAllowedSigners(
    `# people\nada@example.org ${publicKey('ada')} comment\n`,
    'signers',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const space = Space.ofIpv4(Ranges.of([{ from: 0x7f010000, to: 0x7f010400 }]), [
  80, 443,
] as ProbePort[]);
const bytes = spaceToBytes(space, '7');
const NOW = Date.UTC(2026, 10, 27, 12);
const unsigned: SurveyRequest = {
  name: 'census',
  probes: TCP_SYN,
  probesPerTarget: 1,
  aliasLengths: [],
  crossCheckInterval: 0,
  limits: limitsOf(space),
  rate: 1000 as Pps,
  cooldown: 8000 as Millis,
  seed: '7',
  rows: 'all',
  segmentFormat: 'csv',
  contact: 'noc@example.org',
  purpose: 'testing',
  allowSpecial: ['127.0.0.0/8'],
  authorization: '',
  signature: '',
  spaceHash: hashSpace(bytes),
  rulesHash: hashSpace(bytes),
};
const random = { bytes: (length: number) => new Uint8Array(length).fill(5) };
const admitted = (request: SurveyRequest, now = NOW, allowed = signers) =>
  admit(request, space, { random, now, signers: allowed });

/** The authorization that an operator would sign for the survey. */
function authorizationFor(change: Partial<Authorization> = {}): Authorization {
  const { plan, survey } = admit(unsigned, space, { random, now: NOW });
  return {
    authorization: 1,
    name: 'census',
    planHash: plan.hash,
    seed: '7',
    rulesHash: unsigned.rulesHash,
    probes: survey.probes,
    probesPerTarget: 1,
    maxRate: 1000,
    maxRatePerAgent: 500,
    maxProbes: 5000,
    minCooldown: 8000,
    allowSpecial: ['127.0.0.0/8'],
    contact: 'noc@example.org',
    purpose: 'testing',
    exclusionsVersion: 0,
    notBefore: isoTime(NOW - 1000),
    notAfter: isoTime(NOW + 3_600_000),
    agents: ['*'],
    ...change,
  };
}
const signed = (
  change: Partial<Authorization> = {},
  key = 'ada',
  namespace = NAMESPACE,
): SurveyRequest => {
  const authorization = authorizationText(authorizationFor(change));
  return { ...unsigned, authorization, signature: sign(authorization, key, namespace) };
};
const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return 'accepted';
};

describe('an SSH signature', () => {
  test('is verified as ssh-keygen verifies it, whichever octet of it or of the text is changed', () => {
    const text = 'rate: 100\n';
    const signature = sign(text);
    writeFileSync(at('signers'), `ada@example.org ${publicKey('ada')}\n`);
    const byKeygen = (armoured: string, message: string) => {
      writeFileSync(at('mutant.sig'), armoured);
      const args = [
        '-Y',
        'verify',
        '-f',
        at('signers'),
        '-I',
        'ada@example.org',
        '-n',
        NAMESPACE,
        '-s',
        at('mutant.sig'),
      ];
      try {
        execFileSync('ssh-keygen', args, { input: message, stdio: ['pipe', 'pipe', 'pipe'] });
        return true;
      } catch {
        return false;
      }
    };
    const byUs = (armoured: string, message: string) => {
      try {
        return signerOf(armoured, message, NAMESPACE) === publicKey('ada');
      } catch {
        return false;
      }
    };
    expect([byUs(signature, text), byKeygen(signature, text)]).toEqual([true, true]);
    expect([byUs(signature, 'rate: 900\n'), byKeygen(signature, 'rate: 900\n')]).toEqual([
      false,
      false,
    ]);
    const body = Buffer.from(signature.split('\n').slice(1, -2).join(''), 'base64');
    const armour = (octets: Buffer) =>
      `-----BEGIN SSH SIGNATURE-----\n${octets.toString('base64').replace(/.{70}/g, '$&\n')}\n-----END SSH SIGNATURE-----\n`;
    for (let octet = 0; octet < body.length; octet++) {
      const mutant = Buffer.from(body);
      mutant[octet] = (mutant[octet] as number) ^ 1;
      expect([octet, byUs(armour(mutant), text)]).toEqual([octet, false]);
    }
    for (const octet of [0, 6, 10, 40, 60, 80, body.length - 1]) {
      const mutant = Buffer.from(body);
      mutant[octet] = (mutant[octet] as number) ^ 1;
      expect([octet, byKeygen(armour(mutant), text)]).toEqual([octet, false]);
    }
  });

  test('is refused with a fault, whatever octets it consists of', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        const text = `-----BEGIN SSH SIGNATURE-----\n${Buffer.from(octets).toString('base64')}\n-----END SSH SIGNATURE-----`;
        expect(refusal(() => signerOf(text, 'x', NAMESPACE))).toMatch(/^UNAUTHORIZED/);
      }),
      { numRuns: 500 },
    );
  });

  test('for another purpose, or by a key of another type, is refused', () => {
    expect(refusal(() => signerOf(sign('x', 'ada', 'file'), 'x', NAMESPACE))).toMatch(
      /made for "file"/,
    );
    expect(refusal(() => signerOf(sign('x', 'curve'), 'x', NAMESPACE))).toMatch(/not supported/);
  });
});

describe('the list of allowed signers', () => {
  test('limits keys to namespaces and times', () => {
    const key = publicKey('ada');
    const list = parseAllowedSigners(
      `a@b namespaces="git,${NAMESPACE}",valid-after="20260101",valid-before="20270101Z" ${key}\nc@d namespaces="git" ${key}\n`,
      'f',
    );
    const who = (time: number, namespace = NAMESPACE) =>
      refusal(() => expect(principalsOf(list, key, namespace, time)).toBe('a@b'));
    expect(who(Date.UTC(2026, 5))).toBe('accepted');
    expect(who(Date.UTC(2025, 11, 31))).toMatch(/not valid at this time/);
    expect(who(Date.UTC(2027, 0, 1))).toMatch(/not valid at this time/);
    expect(who(Date.UTC(2026, 5), 'other')).toMatch(/may not sign for other/);
    expect(refusal(() => principalsOf(list, publicKey('eve'), NAMESPACE, NOW))).toMatch(
      /not among/,
    );
  });

  test.each([
    ['a@b', /a line has principals/],
    ['a@b cert-authority ssh-ed25519 AAAA', /not supported/],
    ['a@b valid-before="tomorrow" ssh-ed25519 AAAA', /a time is/],
  ])('names file and line of what it cannot read: %s', (line, reason) => {
    const parse = () => parseAllowedSigners(`\n${line}\n`, 'signers');
    expect(parse).toThrow(reason);
    expect(parse).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ file: 'signers', line: 2 }) }),
    );
  });
});

describe('an authorization', () => {
  test('admits the survey that it describes', () => {
    expect(refusal(() => admitted(signed()))).toBe('accepted');
    expect(refusal(() => admitted(unsigned))).toMatch(
      /^UNAUTHORIZED: the survey is not authorized/,
    );
    expect(refusal(() => admit(unsigned, space, { random, now: NOW }))).toBe('accepted');
  });

  test.each<[string, Partial<SurveyRequest>]>([
    ['targets', { seed: '8' }],
    ['probes', { probes: [{ name: 'tcp-syn', options: { layout: 'linux' } }] }],
    ['probesPerTarget', { probesPerTarget: 2 }],
    ['rate', { rate: 1001 as Pps }],
    ['cooldown', { cooldown: 7999 as Millis }],
    ['allowSpecial', { allowSpecial: ['127.0.0.0/8', '10.0.0.0/8'] }],
    ['contact', { contact: 'somebody@example.org' }],
    ['purpose', { purpose: 'another' }],
    ['rulesHash', { rulesHash: 'f'.repeat(64) }],
  ])('does not admit a survey with other %s', (_what, change) => {
    expect(refusal(() => admitted({ ...signed(), ...change }))).toMatch(
      /^UNAUTHORIZED.*not those that are authorized/,
    );
  });

  test('does not admit a survey if any line of the signed text is changed', () => {
    const request = signed();
    const lines = request.authorization.split('\n').slice(1, -2);
    for (const line of lines) {
      const forged = request.authorization.replace(
        line,
        line.replace(/[0-9a-z*](?="?[\],]*$)/i, '3'),
      );
      const outcome = refusal(() => admitted({ ...request, authorization: forged }));
      if (forged !== request.authorization)
        expect([line, outcome]).toEqual([line, expect.stringMatching(/does not fit the text/)]);
    }
  });

  test('is not valid before or after its time, by a stranger, or for another namespace', () => {
    const request = signed();
    expect(refusal(() => admitted(request, NOW + 2 * 3_600_000))).toMatch(/valid from/);
    expect(refusal(() => admitted(request, NOW - 3_600_000))).toMatch(/valid from/);
    expect(refusal(() => admitted(signed({}, 'eve')))).toMatch(/not among the allowed signers/);
    expect(refusal(() => admitted(signed({}, 'ada', 'git')))).toMatch(/made for "git"/);
  });

  test('bounds the rate that may be set later, and no lower one', () => {
    expect(refusal(() => refuseRateAbove(authorizationFor(), 1000))).toBe('accepted');
    expect(refusal(() => refuseRateAbove(authorizationFor(), 1001))).toMatch(/^UNAUTHORIZED/);
    expect(refusal(() => refuseRateAbove(undefined, 1e9))).toBe('accepted');
  });
});

describe('the policy of a host', () => {
  const checked = (policy: Partial<HostPolicy>, request = unsigned, agent = 'a', surveys = 0) => {
    const { survey, plan } = admit(request, space, { random, now: NOW });
    return refusal(() =>
      checkSurvey({ ...NO_POLICY, ...policy }, survey, { agent, plan, surveys, now: NOW }),
    );
  };
  const file = async (text: string) => {
    writeFileSync(at('agent.yaml'), text);
    return await readPolicy(at('agent.yaml'), '--policy');
  };

  test('refuses what it does not allow, even if it is signed', async () => {
    writeFileSync(at('allowed'), `ada@example.org ${publicKey('ada')}\n`);
    expect(checked(await file(''), signed())).toBe('accepted');
    const cases: [string, RegExp][] = [
      ['allow: 127.1.0.0/24', /these addresses/],
      ['allow: [10.0.0.0/8, "2001:db8::/32"]', /these addresses/],
      ['deny: 127.1.3.255', /these addresses/],
      ['special: []', /these addresses/],
      ['ports: [80, 8000-9000]', /this port/],
      ['probes: [udp, tcp-connect]', /this probe/],
    ];
    for (const [text, reason] of cases) {
      const policy = await file(`${text}\nsigners: allowed\n`);
      expect([text, checked(policy, signed())]).toEqual([text, expect.stringMatching(reason)]);
      expect(checked(policy, signed())).toMatch(/^LOCAL_POLICY/);
    }
    const wide = await file(
      'allow: [127.1.0.0/22]\nports: 1-1000\nprobes: tcp-syn\nspecial: 127.0.0.0/8\nsigners: allowed\nneedContact: true\nmaxRate: 20k\n',
    );
    expect(checked(wide, signed())).toBe('accepted');
    expect(wide.maxRate).toBe(20_000);
    expect(checked(wide, unsigned)).toMatch(/^UNAUTHORIZED/);
    expect(checked(wide, { ...signed(), contact: '' })).toMatch(
      /without a contact|contact of the survey/,
    );
    expect(checked({ ...wide, maxSurveys: 2 }, signed(), 'a', 2)).toMatch(/at most 2 surveys/);
    expect(checked({ ...wide, maxValidity: 60_000 as Millis }, signed())).toMatch(
      /authorizations of at most/,
    );
    expect(checked(wide, signed({ agents: ['b', 'c'] }))).toMatch(/does not name this agent/);
    expect(checked(wide, signed({ agents: ['b', 'a'] }))).toBe('accepted');
  });

  test('blocks in the send filter whatever it forbids', async () => {
    const { forbidden } = await file(
      'allow: [198.18.0.0/15, "2001:db8::/32"]\ndeny: 198.18.7.0/24\n',
    );
    const blocks = (address: number) => forbidden.ipv4.contains(address);
    expect([blocks(0xc6120001), blocks(0xc6120701), blocks(0x08080808)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(forbidden.ipv6.contains(0x20010db8, 1, 2, 3)).toBe(false);
    expect(forbidden.ipv6.contains(0x20010db9, 1, 2, 3)).toBe(true);
  });

  test.each([
    ['allows: 10.0.0.0/8', /allows/],
    ['allow: 10.0.0.0/40', /./],
    ['ports: 70000', /ports are given/],
    ['probes: nope', /./],
    ['maxRate: fast', /./],
    ['signers: missing', /cannot read/],
    ['allow: [', /./],
  ])('names the file of a mistake: %s', async (text, reason) => {
    await expect(file(text)).rejects.toThrow(reason);
    await expect(file(text)).rejects.toMatchObject({
      details: { file: expect.stringMatching(/agent\.yaml|missing/) },
    });
  });
});

test('what an agent and a coordinator check is what verify checks later', () => {
  const { survey, plan } = admitted(signed());
  const context = { plan, signers, now: survey.createdAt };
  expect(checkAuthorization(survey, context).by).toBe('ada@example.org');
  const other = { ...survey, rate: 5000 as Pps };
  expect(refusal(() => checkAuthorization(other, context))).toMatch(/rate/);
});
