/**
 * The key with which a coordinator signs what it stores (Ed25519, RFC 8032). It is made in the data folder, and only
 * its public half leaves it.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '../../shared/base/faults.js';
import type { Disk } from '../../shared/host/disk.js';

/** In the data folder; hidden, so that `DATA/*` are surveys. */
const FILE = '.signing-key';
/** Precedes whatever is signed, so that a signature for one purpose fits no other. */
const DOMAIN = { manifest: 'transect manifest\n', audit: 'transect audit log\n' } as const;

export type SignedPurpose = keyof typeof DOMAIN;

/** A signature, and the public key that made it (DER, base64). */
export interface StoredSignature {
  readonly key: string;
  readonly signature: string;
}

export class SigningKey {
  readonly #file: string;
  readonly #disk: Disk;
  #opened: Promise<KeyObject> | undefined;

  /** @param data the coordinator's data folder */
  constructor(data: string, disk: Disk) {
    this.#file = join(data, FILE);
    this.#disk = disk;
  }

  /** Reads the key, or makes it. @throws Fault BAD_MESSAGE if the file is no such key, or UNWRITABLE */
  async open(): Promise<KeyObject> {
    this.#opened ??= this.#readOrMake();
    return await this.#opened;
  }

  /** @throws Fault as `open` does */
  async sign(purpose: SignedPurpose, content: string): Promise<StoredSignature> {
    const privateKey = await this.open();
    const key = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    const signature = sign(null, Buffer.from(DOMAIN[purpose] + content), privateKey);
    return { key: key.toString('base64'), signature: signature.toString('base64') };
  }

  async #readOrMake(): Promise<KeyObject> {
    const text = (await this.#disk.read(this.#file, 4096))?.toString();
    if (text === undefined) {
      const { privateKey } = generateKeyPairSync('ed25519');
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      await this.#disk.writeSecret(this.#file, pem);
      return privateKey;
    }
    try {
      return createPrivateKey(text);
    } catch (cause) {
      throw new Fault('BAD_MESSAGE', 'the file is not a signing key', { file: this.#file }, cause);
    }
  }
}

/** The content of a file that holds a signature. */
export function formatSignature({ key, signature }: StoredSignature): string {
  const [publicKey, octets] = [key, signature].map((text) => Buffer.from(text, 'base64'));
  const parts = { key: publicKey?.toString('base64'), signature: octets?.toString('base64') };
  return `${JSON.stringify(parts)}\n`;
}

/** True if a signature fits. */
export function isSigned(
  purpose: SignedPurpose,
  content: string,
  { key, signature }: StoredSignature,
): boolean {
  try {
    const der = Buffer.from(key, 'base64');
    const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (publicKey.asymmetricKeyType !== 'ed25519') return false;
    return verify(
      null,
      Buffer.from(DOMAIN[purpose] + content),
      publicKey,
      Buffer.from(signature, 'base64'),
    );
  } catch {
    return false;
  }
}

/** A short name of a public key, as ssh-keygen forms them: `SHA256:…`. */
export function fingerprint({ key }: Pick<StoredSignature, 'key'>): string {
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}
