/** The secret of canaries, in a file. */
import { Fault } from '../base/faults.js';
import { systemDisk } from '../host/disk.js';
import { option } from './program.js';

const SECRET = /^[0-9a-f]{64}\s*$/;
const SECRET_OCTETS_MAX = 1024;

export function canarySecretOption() {
  const about = 'the secret from which answers follow; make one with: openssl rand -hex 32';
  return option('--secret <file>', about).makeOptionMandatory();
}

/** Reads 64 hexadecimal digits. @throws Fault UNREADABLE_FILE or BAD_OPTION */
export async function readCanarySecret(file: string): Promise<Uint8Array> {
  const text = (await systemDisk.read(file, SECRET_OCTETS_MAX))?.toString();
  if (text === undefined) {
    const reason = 'the file is missing; make one with: openssl rand -hex 32';
    throw new Fault('UNREADABLE_FILE', reason, { flag: '--secret', file });
  }
  if (!SECRET.test(text)) {
    const reason = 'a secret of canaries is 64 hexadecimal digits';
    throw new Fault('BAD_OPTION', reason, { flag: '--secret', file });
  }
  return Buffer.from(text.trim(), 'hex');
}
