/** Errors of send calls (errno(3)), and how to react to them. */

import { UNSENT } from '../../shared/survey/unsent.js';
import type { SendErrors } from '../interfaces.js';

interface SendErrorPolicy {
  readonly errno: number;
  readonly name: string;
  /** Milliseconds to wait before a retry; 0 if only this frame is refused. */
  readonly pauseMillis: number;
  /** `UNSENT` code of the position if the frame is given up. */
  readonly unsent?: number;
  /** True if this frame sender cannot send any more: the network I/O must be opened again. */
  readonly isDown?: true;
}

const FULL_MILLIS = 1;
const DOWN_MILLIS = 100;

export const SEND_ERRORS: readonly SendErrorPolicy[] = [
  // The queue is full, and drains.
  { errno: 11, name: 'EAGAIN', pauseMillis: FULL_MILLIS },
  { errno: 12, name: 'ENOMEM', pauseMillis: FULL_MILLIS },
  { errno: 105, name: 'ENOBUFS', pauseMillis: FULL_MILLIS },
  // The driver dropped the frame, as drivers under pressure do.
  { errno: 16, name: 'EBUSY', pauseMillis: FULL_MILLIS },
  // The interface, the address or the route is gone, and may come back.
  { errno: 6, name: 'ENXIO', pauseMillis: DOWN_MILLIS, isDown: true },
  { errno: 19, name: 'ENODEV', pauseMillis: DOWN_MILLIS, isDown: true },
  { errno: 99, name: 'EADDRNOTAVAIL', pauseMillis: DOWN_MILLIS, isDown: true },
  { errno: 100, name: 'ENETDOWN', pauseMillis: DOWN_MILLIS, isDown: true },
  { errno: 101, name: 'ENETUNREACH', pauseMillis: DOWN_MILLIS, isDown: true },
  // This frame is refused.
  { errno: 1, name: 'EPERM', pauseMillis: 0, unsent: UNSENT.FIREWALLED },
  { errno: 13, name: 'EACCES', pauseMillis: 0 },
  { errno: 22, name: 'EINVAL', pauseMillis: 0 },
  { errno: 90, name: 'EMSGSIZE', pauseMillis: 0 },
  { errno: 113, name: 'EHOSTUNREACH', pauseMillis: 0, unsent: UNSENT.UNROUTABLE },
  // Any other one.
  { errno: 0, name: 'OTHER', pauseMillis: 0 },
];

/** True if the kernel ever reported that the link is down, however briefly. */
export function hasLinkError(sendErrors: SendErrors): boolean {
  return SEND_ERRORS.some(({ name, isDown }) => isDown && (sendErrors[name] ?? 0) > 0);
}

/** Index into `SEND_ERRORS`. */
export function sendErrorOf(errno: number): number {
  const index = SEND_ERRORS.findIndex((sendError) => sendError.errno === errno);
  return index < 0 ? SEND_ERRORS.length - 1 : index;
}
