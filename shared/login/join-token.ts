/** Join tokens: one line that an operator gives to a new host. It holds a login that may do nothing but enrol. */
import { Fault } from '../base/faults.js';
import { type Login, parseLogin } from './login-file.js';

const PREFIX = 'tts1.';

export function tokenOf(invitation: Login): string {
  return PREFIX + Buffer.from(JSON.stringify(invitation)).toString('base64url');
}

/** @throws Fault BAD_OPTION, which does not repeat the token */
export function invitationOf(token: string): Login {
  const text = token.trim();
  try {
    if (!text.startsWith(PREFIX)) throw new Fault('BAD_OPTION', `it does not begin with ${PREFIX}`);
    return parseLogin(Buffer.from(text.slice(PREFIX.length), 'base64url').toString());
  } catch {
    throw new Fault(
      'BAD_OPTION',
      'this is not a join token; ask for one: transect auth invite NAME',
    );
  }
}
