/**
 * The keys of cookies. A secret in the data folder is the root; the key of each lease is derived from it (HKDF,
 * RFC 5869), so no survey's key is stored anywhere, and an agent knows the keys of its own leases only. Coordinators
 * that take over from each other share the data folder, or replicate it and have copies of the secret.
 */
import { hkdfSync } from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '../shared/base/faults.js';
import type { Random } from '../shared/base/random.js';
import type { ShardEpoch } from '../shared/bus/heartbeat.js';
import type { Disk } from '../shared/host/disk.js';
import { KEY_OCTETS } from '../shared/probe/cookies.js';

/** In the data folder; hidden, so that `DATA/*` are surveys. */
const FILE = '.cookie-secret';
const SECRET_OCTETS = 32;
const SECRET = /^[0-9a-f]{64}\s*$/;
const NO_SALT = new Uint8Array(0);

export class SurveyKeys {
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** Reads the secret of a data folder, or makes one. @throws Fault BAD_MESSAGE if the file has another content */
  static async open(data: string, disk: Disk, random: Random): Promise<SurveyKeys> {
    const known = await SurveyKeys.read(data, disk);
    if (known !== undefined) return known;
    const secret = random.bytes(SECRET_OCTETS);
    await disk.writeSecret(join(data, FILE), `${Buffer.from(secret).toString('hex')}\n`);
    return new SurveyKeys(secret);
  }

  /** Undefined if the data folder has no secret. @throws Fault BAD_MESSAGE if the file has another content */
  static async read(data: string, disk: Disk): Promise<SurveyKeys | undefined> {
    const file = join(data, FILE);
    const text = (await disk.read(file, 1024))?.toString();
    if (text === undefined) return undefined;
    if (!SECRET.test(text)) {
      const reason = `the secret of the cookies is ${2 * SECRET_OCTETS} hexadecimal digits`;
      throw new Fault('BAD_MESSAGE', reason, { file });
    }
    return new SurveyKeys(Buffer.from(text.trim(), 'hex'));
  }

  /** Differs between secrets, and does not reveal them. */
  get fingerprint(): string {
    const info = 'transect secret fingerprint';
    return Buffer.from(hkdfSync('sha256', this.#secret, NO_SALT, info, KEY_OCTETS)).toString('hex');
  }

  /** The key of one epoch of a lease: sixteen octets. */
  keyOf({ survey, shard, epoch, agent }: ShardEpoch & { readonly agent: string }): Uint8Array {
    const info = `transect cookies ${survey} ${shard} ${epoch} ${agent}`;
    return new Uint8Array(hkdfSync('sha256', this.#secret, NO_SALT, info, KEY_OCTETS));
  }
}
