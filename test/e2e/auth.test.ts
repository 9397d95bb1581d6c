/** Logins, on a real broker with the configuration that `transect auth` writes: what each may do, and nothing else. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { GuardedBroker } from '../support/guarded-broker.js';

let broker: GuardedBroker;
const OPERATOR = '--login transect-auth/operator.login';
const TARGETS = '127.0.0.0/22 -p 9,10 --allow-special 127.0.0.0/8 -c 1s --rows all';
const isDone = async (survey: string) =>
  /"state": ?"done"/.test(await broker.run(`$T status ${survey} ${OPERATOR} --json`));

beforeAll(async () => {
  broker = await GuardedBroker.start();
  await broker.startCoordinator();
  await broker.startAgent('frankfurt');
  await broker.run('$T auth add ada --roles observe');
  await broker.run('$T auth add spare');
}, 60_000);
afterAll(async () => await broker[Symbol.asyncDispose]());

describe('a broker with logins', () => {
  test('carries a whole survey without a violation of permissions, and keeps no key on its disk', async () => {
    const survey = await broker.run(`$T launch ${TARGETS} -r 1000 ${OPERATOR}`);
    await broker.run(`$T exclude add 127.0.3.0/24 --reason test --by me ${OPERATOR}`);
    await broker.run(`$T pause ${survey} ${OPERATOR} && $T resume ${survey} ${OPERATOR}`);
    await broker.until(() => isDone(survey), 'the survey ends');
    expect(await broker.run(`$T verify ${survey} ${OPERATOR} 2>&1`)).toMatch(/complete/);
    const rows = await broker.run(
      `$T results ${survey} ${OPERATOR} -f saddr,vantage | sort -u | wc -l`,
    );
    expect(Number(rows)).toBeGreaterThan(500);
    expect(await broker.run(`$T agents ${OPERATOR}`)).toMatch(/^frankfurt +frankfurt +working/m);
    expect(await broker.run(`$T exclude list ${OPERATOR}`)).toMatch(/operator \(me\)/);
    const audit = await broker.run('$T audit data --json');
    const entries = audit.split('\n').map((line) => JSON.parse(line));
    expect(entries.map(({ person, verb, outcome }) => `${person} ${verb} ${outcome}`)).toEqual([
      'operator launch done',
      'operator exclude done',
      'operator pause done',
      'operator resume done',
    ]);
    expect(broker.log).not.toMatch(/violation/i);
    const secret = readFileSync(join(broker.path, 'data', '.cookie-secret'), 'utf8').trim();
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    for (const needle of [secret, Buffer.from(secret, 'hex').toString('latin1')]) {
      const files = filesWith(needle, broker.file('jetstream'));
      expect(files).toEqual([]);
    }
  }, 60_000);

  test('lets an agent speak for itself only: everything else is refused', async () => {
    const client = await broker.client('spare');
    const publishing = [
      'agent.frankfurt.heartbeat',
      'agent.frankfurt.rules',
      'agent.spare.a.b',
      'results.s1.frankfurt.0',
      'results.s1.spare.0.x',
      'enrol.frankfurt',
      'control.spare.cancel',
      'control.operator.cancel',
      'control.operator.enrolments',
      'announce.all',
      'announce.s1',
      '$KV.surveys.s1',
      '$KV.leases.s1.0',
      '$KV.exclusions.v.1',
      '$KV.coordinator.leader',
      '$KV.spaces.aa.0',
      '$JS.API.INFO',
      '$JS.API.STREAM.NAMES',
      '$JS.API.STREAM.PURGE.RESULTS',
      '$JS.API.STREAM.DELETE.KV_leases',
      '$JS.API.CONSUMER.CREATE.RESULTS',
      '$JS.API.STREAM.MSG.GET.KV_surveys',
      '$JS.API.DIRECT.GET.KV_surveys.$KV.surveys.s1',
      '$JS.ACK.RESULTS.collector.1.1.1.1.0',
      '_INBOX_frankfurt.x',
      '_INBOX.x',
    ];
    const subscribing = [
      '>',
      'agent.>',
      'agent.frankfurt.heartbeat',
      'results.>',
      'control.>',
      'enrol.*',
      '_INBOX_frankfurt.>',
      '_INBOX.>',
      '$KV.>',
      '_R_.>',
    ];
    for (const subject of publishing) client.publish(subject, 'x');
    for (const subject of subscribing) client.subscribe(subject, { callback: () => {} });
    await client.flush();
    await client.close();
    const refused = [...broker.log.matchAll(/Violation.*?Subject "([^"]+)"/g)].map(
      ([, one]) => one,
    );
    expect([...publishing, ...subscribing].filter((one) => !refused.includes(one))).toEqual([]);
    expect(await broker.run(`$T agents ${OPERATOR}`)).toMatch(/^frankfurt +frankfurt +working/m);
  });

  test('steers no reply into its streams, whatever reply subject an agent names', async () => {
    const client = await broker.client('spare');
    const before = streamStates();
    const replies = [
      '$KV.coordinator.leader',
      '$KV.surveys.forged',
      '$KV.leases.forged.0',
      '$KV.exclusions.v.99',
      '$KV.spaces.aa.octets',
      'results.forged.frankfurt.0',
      'agent.frankfurt.heartbeat',
      'control.operator.cancel',
      'enrol.frankfurt',
      '$JS.API.STREAM.DELETE.RESULTS',
      '$JS.API.STREAM.PURGE.KV_leases',
      '$JS.API.CONSUMER.DELETE.RESULTS.collector',
      'announce.all',
      '_INBOX_frankfurt.x',
    ];
    for (const reply of replies) {
      client.publish('agent.spare.heartbeat', 'garbage', { reply });
      client.publish('agent.spare.exclusions', new Uint8Array(0), { reply });
      client.publish('enrol.spare', 'garbage', { reply });
      client.publish('results.forged.spare.0', 'garbage', { reply });
    }
    await client.flush();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await client.close();
    const after = streamStates();
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    for (const [name, last] of Object.entries(after)) {
      // The leader renews its record; garbage in place of results is dropped.
      if (name !== 'KV_coordinator' && name !== 'RESULTS')
        expect([name, last]).toEqual([name, before[name]]);
    }
    expect(await broker.run(`$T agents ${OPERATOR}`)).toMatch(/^frankfurt +frankfurt +working/m);
  });

  test('lets people do what their roles say, and refuses everything else at once', async () => {
    const ada = '--login transect-auth/ada.login';
    expect(await broker.run(`$T agents ${ada}`)).toMatch(/frankfurt/);
    for (const act of [
      'pause x',
      'cancel x',
      'rate x 5',
      'exclude add 127.0.0.1 --reason no --by me',
    ]) {
      const { code, stderr } = await broker.attempt(`$T ${act} ${ada}`);
      expect([act, code, stderr]).toEqual([
        act,
        EXIT.REFUSED,
        expect.stringMatching(/ada.*may not/),
      ]);
    }
  });

  test('refuses to take a login for what it is not, or one that others may read', async () => {
    const wrong = await broker.attempt('$T status --login transect-auth/spare.login');
    expect([wrong.code, wrong.stderr]).toEqual([
      EXIT.USAGE,
      expect.stringMatching(/login of an agent, not of a person/),
    ]);
    await broker.run('cp transect-auth/operator.login open.login; chmod 644 open.login');
    const open = await broker.attempt('$T status --login open.login');
    expect([open.code, open.stderr]).toEqual([
      EXIT.USAGE,
      expect.stringMatching(/others may read this secret/),
    ]);
    const token = await broker.attempt('$AGENT join tts1.garbage -o x.login');
    expect([token.code, token.stderr]).toEqual([
      EXIT.USAGE,
      expect.stringMatching(/not a join token/),
    ]);
    expect(wrong.stderr + open.stderr + token.stderr).not.toMatch(/SU[A-Z2-7]{56}/);
  });

  test('disconnects an agent within a second of its revocation; others redo its work, and no row is there twice', async () => {
    await broker.startAgent('london');
    const survey = await broker.run(`$T launch ${TARGETS} -r 300 ${OPERATOR}`);
    await broker.until(
      async () => /london.*working +[1-9]/.test(await broker.run(`$T agents ${OPERATOR}`)),
      'london probes',
    );
    const client = await broker.client('london');
    await broker.run('$T auth revoke london');
    const begun = performance.now();
    await client.closed();
    expect(performance.now() - begun).toBeLessThan(1000);
    await expect(broker.client('london')).rejects.toThrow(/authoriz/i);
    await broker.until(() => isDone(survey), 'the survey ends');
    expect(await broker.run(`$T verify ${survey} ${OPERATOR} 2>&1`)).toMatch(/complete/);
  }, 90_000);
});

describe('a broker whose coordinator and agents want authorizations', () => {
  test('carries the survey that an operator has signed, as signed, and no other', async () => {
    await using guarded = await GuardedBroker.start();
    await guarded.run(
      'ssh-keygen -q -t ed25519 -N "" -f ada && ssh-keygen -q -t ed25519 -N "" -f eve',
    );
    await guarded.run('printf "ada@example.org %s\\n" "$(cut -d" " -f1,2 ada.pub)" > signers');
    const said = await guarded.startCoordinator('--signers', 'signers');
    const key = /SHA256:[^"]+/.exec(said)?.[0] ?? '';
    const policy = (coordinator: string) =>
      `signers: signers\\nallow: 127.0.0.0/8\\nmaxRate: 2k\\ncoordinators: ${coordinator}\\n`;
    await guarded.run(`printf "${policy(key)}" > agent.yaml`);
    await guarded.run(`printf "${policy(`SHA256:${'x'.repeat(43)}`)}" > other.yaml`);
    await guarded.startAgent('paris', '--policy', 'agent.yaml');
    await guarded.startAgent('rome', '--policy', 'other.yaml');
    const flags = `${TARGETS} -r 1000 ${OPERATOR}`;
    const refused = await guarded.attempt(`$T launch ${flags}`);
    expect([refused.code, refused.stderr]).toEqual([
      EXIT.REFUSED,
      expect.stringMatching(/not authorized/),
    ]);
    await guarded.run(`$T authorize ${flags} -o a.json`);
    await guarded.run('cp a.json e.json; $T sign a.json --key ada; $T sign e.json --key eve');
    const stranger = await guarded.attempt(`$T launch ${flags} --authorization e.json`);
    expect(stranger.stderr).toMatch(/not among the allowed signers/);
    const faster = await guarded.attempt(
      `$T launch ${TARGETS} -r 1001 ${OPERATOR} --authorization a.json`,
    );
    expect(faster.stderr).toMatch(/the rate of the survey|targets of the survey/);
    // An exclusion that comes later is enforced by agents; the authorization still holds.
    await guarded.run(`$T exclude add 127.0.3.0/24 --reason asked --by me ${OPERATOR}`);
    const survey = await guarded.run(`$T launch ${flags} --authorization a.json`);
    const raised = await guarded.attempt(`$T rate ${survey} 5000 ${OPERATOR}`);
    expect(raised.stderr).toMatch(/authorized for 1000 packets per second/);
    await guarded.run(`$T rate ${survey} 900 ${OPERATOR}`);
    expect(await guarded.run(`$T agents ${OPERATOR}`)).toMatch(
      /rome +rome +refused .*the coordinator's key SHA256:.* is not one of this host's policy/,
    );
    await guarded.until(
      async () => /"done"/.test(await guarded.run(`$T status ${survey} ${OPERATOR} --json`)),
      'the survey ends',
    );
    const roster = '--roster transect-auth/roster.json';
    const verified = await guarded.run(`$T verify data/${survey} --signers signers ${roster}`);
    expect(verified).toMatch(/reports +(\d+) of \1 signed by their agents/);
    expect(verified).toMatch(/authorized by ada@example.org/);
    expect(verified).toMatch(/complete/);
    await guarded.run('printf "eve@example.org %s\\n" "$(cut -d" " -f1,2 eve.pub)" > others');
    const others = await guarded.attempt(`$T verify data/${survey} --signers others`);
    expect([others.code, others.stderr]).toEqual([
      EXIT.REFUSED,
      expect.stringMatching(/not among the allowed signers/),
    ]);
  }, 60_000);
});

/** The files below a folder that contain a text. */
function filesWith(needle: string, folder: string): string[] {
  const found = execFileSync('find', [folder, '-type', 'f']).toString().trim().split('\n');
  return found.filter((file) => readFileSync(file, 'latin1').includes(needle));
}

/** Of each stream: the names of its folders and the octets of its messages. */
function streamStates(): Record<string, string> {
  const streams = execFileSync('sh', [
    '-c',
    `cd ${broker.file('jetstream')} && find . -name '*.blk' | sort`,
  ]);
  const states: Record<string, string> = {};
  for (const file of streams.toString().trim().split('\n')) {
    const name = /streams\/([^/]+)\//.exec(file)?.[1] ?? file;
    const octets = readFileSync(join(broker.file('jetstream'), file));
    states[name] = `${states[name] ?? ''}${octets.length}:${octets.subarray(-64).toString('hex')};`;
  }
  return states;
}
