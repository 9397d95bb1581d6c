/** Nkeys: Ed25519 key pairs by which clients log in to a NATS server, which knows their public halves only. */
import { createUser, fromPublic, fromSeed } from '@nats-io/nkeys';

export interface Nkey {
  /** `SU…`: the secret half. */
  readonly seed: string;
  /** `U…`: the public half. */
  readonly key: string;
}

export function newNkey(): Nkey {
  const pair = createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), key: pair.getPublicKey() };
}

/** Signs texts, such as reports: the public key, a space, and the signature in base64. @param seed `SU…` */
export function signerOf(seed: string): (text: string) => string {
  const pair = fromSeed(new TextEncoder().encode(seed));
  const key = pair.getPublicKey();
  return (text) => `${key} ${Buffer.from(pair.sign(Buffer.from(text))).toString('base64')}`;
}

/** The public key that has signed a text; undefined if the signature does not fit. */
export function signerIn(signature: string, text: string): string | undefined {
  const [key = '', octets = ''] = signature.split(' ');
  try {
    const isFit = fromPublic(key).verify(Buffer.from(text), Buffer.from(octets, 'base64'));
    return isFit ? key : undefined;
  } catch {
    return undefined;
  }
}

/** True if the text is the public key of a user. */
export function isPublicKey(text: string): boolean {
  try {
    return text.startsWith('U') && fromPublic(text).getPublicKey() === text;
  } catch {
    return false;
  }
}
