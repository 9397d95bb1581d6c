/** A certificate authority for one broker, and the broker's certificate; made with openssl. */
import { execFileSync } from 'node:child_process';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { describeError, Fault } from '../../shared/base/faults.js';
import { findProgram } from '../../shared/host/programs.js';

/** Paths of the files within the folder. */
export const TLS_FILES = {
  authority: 'ca.pem',
  authorityKey: 'ca.key',
  certificate: 'server.pem',
  key: 'server.key',
} as const;

const CURVE = 'ec_paramgen_curve:prime256v1';
const AUTHORITY_DAYS = '3650';
const SERVER_DAYS = '825';

/** @param hosts names and addresses of the broker @throws Fault SYSTEM_CALL */
export function makeCertificates(folder: string, hosts: readonly string[]): void {
  const openssl = findProgram('openssl', 'SYSTEM_CALL', 'install it with: apt-get install openssl');
  const at = (name: keyof typeof TLS_FILES) => join(folder, TLS_FILES[name]);
  const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
  const pair = ['-newkey', 'ec', '-pkeyopt', CURVE, '-nodes'];
  const run = (...args: string[]) => {
    try {
      // Keys are made with a mask that gives others nothing.
      execFileSync('sh', ['-c', 'umask 077; exec "$0" "$@"', openssl, ...args], { stdio: 'pipe' });
    } catch (cause) {
      const said = String((cause as { stderr?: Buffer }).stderr ?? '')
        .trim()
        .split('\n')
        .at(-1);
      throw new Fault('SYSTEM_CALL', `openssl fails: ${said || describeError(cause)}`, {}, cause);
    }
  };
  const authority = [
    '-subj',
    '/CN=Transect broker CA',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
  ];
  run(
    'req',
    '-x509',
    ...pair,
    '-days',
    AUTHORITY_DAYS,
    ...authority,
    '-keyout',
    at('authorityKey'),
    '-out',
    at('authority'),
  );
  const signing = ['-CA', at('authority'), '-CAkey', at('authorityKey')];
  const extensions = [
    '-addext',
    `subjectAltName=${names}`,
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  ];
  run(
    'req',
    '-x509',
    ...pair,
    '-days',
    SERVER_DAYS,
    '-subj',
    `/CN=${hosts[0]}`,
    ...extensions,
    ...signing,
    '-keyout',
    at('key'),
    '-out',
    at('certificate'),
  );
}
