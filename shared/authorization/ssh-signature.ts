/**
 * SSH signatures, as `ssh-keygen -Y sign` makes them (PROTOCOL.sshsig of OpenSSH): by Ed25519 keys, and by Ed25519 keys
 * in security tokens (PROTOCOL.u2f). The namespace is part of what is signed.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { Fault } from '../base/faults.js';

const BEGIN = '-----BEGIN SSH SIGNATURE-----';
const END = '-----END SSH SIGNATURE-----';
const MAGIC = 'SSHSIG';
const VERSION = 1;
const ED25519 = 'ssh-ed25519';
const TOKEN_ED25519 = 'sk-ssh-ed25519@openssh.com';
/** The header of an Ed25519 key in DER (RFC 8410 §4). */
const DER_HEADER = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_OCTETS = 32;
const SIGNATURE_OCTETS = 64;
/** The user has touched the token. */
const FLAG_PRESENT = 1;
const ARMOURED_MAX = 16_384;

/** Reads the strings of the SSH protocol: RFC 4251 §5. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(octets: number): Buffer {
    if (this.#at + octets > this.#bytes.length) throw new RangeError('the signature is too short');
    this.#at += octets;
    return this.#bytes.subarray(this.#at - octets, this.#at);
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }
}

function stringOf(bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/**
 * Verifies a signature.
 * @param armoured the content of a `.sig` file
 * @returns the public key that made it, as in authorized_keys: `ssh-ed25519 AAAA…`
 * @throws Fault UNAUTHORIZED if it is no signature, or not one of this message in this namespace
 */
export function signerOf(armoured: string, message: string, namespace: string): string {
  try {
    return verified(decode(armoured), message, namespace);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('UNAUTHORIZED', 'this is not an SSH signature', {}, cause);
  }
}

function decode(armoured: string): Buffer {
  const text = armoured.trim();
  const isArmoured = text.length <= ARMOURED_MAX && text.startsWith(BEGIN) && text.endsWith(END);
  if (!isArmoured) throw new RangeError('the armour is missing');
  return Buffer.from(text.slice(BEGIN.length, -END.length).replace(/\s/g, ''), 'base64');
}

function verified(bytes: Buffer, message: string, namespace: string): string {
  const reader = new Reader(bytes);
  if (reader.take(MAGIC.length).toString('latin1') !== MAGIC) throw new RangeError('no SSHSIG');
  if (reader.uint32() !== VERSION) throw new RangeError('another version of SSHSIG');
  const publicKey = reader.string();
  const signedNamespace = reader.string().toString();
  const reserved = reader.string();
  const hash = reader.string().toString();
  const signature = new Reader(reader.string());
  if (!reader.isAtEnd) throw new RangeError('octets after the signature');
  if (signedNamespace !== namespace) {
    const reason = `the signature was made for ${JSON.stringify(signedNamespace)}, not for ${namespace}`;
    throw new Fault('UNAUTHORIZED', reason);
  }
  if (hash !== 'sha256' && hash !== 'sha512') throw new RangeError('an unknown hash');
  const digest = createHash(hash).update(message).digest();
  const signed = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    ...[namespace, reserved, hash, digest].map(stringOf),
  ]);
  const key = new Reader(publicKey);
  const type = key.string().toString();
  const point = key.string();
  if (signature.string().toString() !== type) throw new RangeError('key and signature differ');
  const made = signature.string();
  let content: Buffer = signed;
  if (type === TOKEN_ED25519) content = byToken(signed, key.string(), signature);
  else if (type !== ED25519) {
    const reason = `signatures by keys of the type ${type} are not supported: use an Ed25519 key`;
    throw new Fault('UNAUTHORIZED', reason);
  }
  if (!key.isAtEnd || !signature.isAtEnd) throw new RangeError('octets after the key');
  if (!isSignature(content, made, point))
    throw new Fault('UNAUTHORIZED', 'the signature does not fit the text');
  return `${type} ${publicKey.toString('base64')}`;
}

/** The octets that a token signs: PROTOCOL.u2f, "SSH U2F Signatures". */
function byToken(signed: Buffer, application: Buffer, signature: Reader): Buffer {
  const flags = signature.take(1);
  const counter = signature.take(4);
  if (((flags[0] as number) & FLAG_PRESENT) === 0)
    throw new Fault('UNAUTHORIZED', 'the signature was made without touching the token');
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  return Buffer.concat([sha256(application), flags, counter, sha256(signed)]);
}

function isSignature(content: Buffer, signature: Buffer, point: Buffer): boolean {
  if (point.length !== KEY_OCTETS || signature.length !== SIGNATURE_OCTETS) return false;
  const der = Buffer.concat([DER_HEADER, point]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  return verify(null, content, key, signature);
}
