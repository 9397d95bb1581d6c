/** Faults as they travel in replies. */
import { toFaultCode } from '../../base/exit-codes.js';
import { describeError, Fault } from '../../base/faults.js';

export interface FaultReply {
  readonly code: string;
  readonly message: string;
  readonly flag: string;
  readonly value: string;
}

export function toReply(error: unknown): FaultReply {
  if (!(error instanceof Fault))
    return { code: 'BAD_MESSAGE', message: describeError(error), flag: '', value: '' };
  const { code, message, details } = error;
  return { code, message, flag: details.flag ?? '', value: details.value ?? '' };
}

export function fromReply({ code, message, flag, value }: FaultReply): Fault {
  return new Fault(toFaultCode(code), message, {
    flag: flag || undefined,
    value: value || undefined,
  });
}
