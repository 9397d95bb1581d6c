/** Signatures of coordinators (Ed25519, RFC 8032), as they are stored and sent. */
import { createHash, createPublicKey, verify } from 'node:crypto';

/** Precedes whatever is signed, so that a signature for one purpose fits no other. */
const DOMAIN = {
  manifest: 'transect manifest\n',
  audit: 'transect audit log\n',
  reply: 'transect heartbeat reply\n',
} as const;

export type SignedPurpose = keyof typeof DOMAIN;

/** A signature (base64), and the public key that made it (DER, base64). */
export interface Signature {
  readonly key: string;
  readonly signature: string;
}

/** The octets that are signed. */
export function signedText(purpose: SignedPurpose, content: string): Uint8Array {
  return Buffer.from(DOMAIN[purpose] + content);
}

/** True if a signature fits. */
export function isSigned(
  purpose: SignedPurpose,
  content: string,
  { key, signature }: Signature,
): boolean {
  try {
    const der = Buffer.from(key, 'base64');
    const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (publicKey.asymmetricKeyType !== 'ed25519') return false;
    const octets = Buffer.from(signature, 'base64');
    return verify(null, signedText(purpose, content), publicKey, octets);
  } catch {
    return false;
  }
}

/** A short name of a public key, as ssh-keygen forms them: `SHA256:…`. */
export function fingerprint({ key }: Pick<Signature, 'key'>): string {
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}
