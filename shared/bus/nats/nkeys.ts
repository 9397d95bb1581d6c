/** Nkeys: Ed25519 key pairs by which clients log in to a NATS server, which knows their public halves only. */
import { createUser, fromPublic } from '@nats-io/nkeys';

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

/** True if the text is the public key of a user. */
export function isPublicKey(text: string): boolean {
  try {
    return text.startsWith('U') && fromPublic(text).getPublicKey() === text;
  } catch {
    return false;
  }
}
