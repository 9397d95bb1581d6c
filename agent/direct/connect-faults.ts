/** Errors of connect(2), by name: what they say about the target, or about this host. */
import { UNSENT } from '../../shared/survey/unsent.js';

/**
 * Errors that show that the target or a router answered, with the index of its class among the classes of
 * `tcp-connect`.
 */
const ANSWERS: Readonly<Record<string, number>> = {
  // The kernel reports a reset as these only once the handshake is complete (tcp_reset() of Linux).
  ECONNRESET: 0,
  EPIPE: 0,
  ECONNREFUSED: 1,
  // ICMPv6 "administratively prohibited"; if connect(2) itself fails with it, this host's own firewall
  // is the cause.
  EACCES: 2,
  EHOSTUNREACH: 2,
  ENETUNREACH: 2,
  EPROTO: 2,
};

/** This host cannot connect at present; such errors pass. */
const LOCAL = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
  'EAGAIN',
  'EADDRINUSE',
]);

/** Errors of this host, which arise before anything is sent. */
const REFUSED: Readonly<Record<string, number>> = {
  EACCES: UNSENT.FIREWALLED,
  EPERM: UNSENT.FIREWALLED,
  ENETUNREACH: UNSENT.UNROUTABLE,
  EHOSTUNREACH: UNSENT.UNROUTABLE,
  EINVAL: UNSENT.SEND_FAILED,
};

export type Verdict =
  | { readonly kind: 'reply'; readonly place: number }
  | { readonly kind: 'retry' }
  | { readonly kind: 'unsent'; readonly code: number }
  | { readonly kind: 'silent' };

/** @param isImmediate true if connect(2) itself failed: then nothing was sent */
export function verdictOn(code: string, isImmediate: boolean): Verdict {
  if (LOCAL.has(code)) return { kind: 'retry' };
  const refused = isImmediate ? REFUSED[code] : undefined;
  if (refused !== undefined) return { kind: 'unsent', code: refused };
  const place = ANSWERS[code];
  if (place !== undefined) return { kind: 'reply', place };
  return isImmediate ? { kind: 'unsent', code: UNSENT.SEND_FAILED } : { kind: 'silent' };
}
