/**
 * The key with which a coordinator signs what it stores (Ed25519, RFC 8032). It is made in the data folder, and only
 * its public half leaves it.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '../../shared/base/faults.js';
import {
  fingerprint,
  type Signature,
  type SignedPurpose,
  signedText,
} from '../../shared/bus/signature.js';
import type { Disk } from '../../shared/host/disk.js';

/** In the data folder; hidden, so that `DATA/*` are surveys. */
const FILE = '.signing-key';
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
  async sign(purpose: SignedPurpose, content: string): Promise<Signature> {
    const signature = sign(null, signedText(purpose, content), await this.open());
    return { key: await this.#publicKey(), signature: signature.toString('base64') };
  }

  /** A short name of the public key. @throws Fault as `open` does */
  async fingerprint(): Promise<string> {
    return fingerprint({ key: await this.#publicKey() });
  }

  /** DER, base64. */
  async #publicKey(): Promise<string> {
    const key = createPublicKey(await this.open());
    return key.export({ type: 'spki', format: 'der' }).toString('base64');
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
export function formatSignature({ key, signature }: Signature): string {
  const [publicKey, octets] = [key, signature].map((text) => Buffer.from(text, 'base64'));
  const parts = { key: publicKey?.toString('base64'), signature: octets?.toString('base64') };
  return `${JSON.stringify(parts)}\n`;
}
