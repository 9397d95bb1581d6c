/**
 * The classes of replies, with ZMap's names. Codes are used in messages and in a shard's results, one octet
 * per position; 0 is silence. A later reply of higher rank replaces an earlier one: a SYN-ACK after a reset
 * or an ICMP error still means open.
 */
export const CLASSIFICATION = { NONE: 0, SYNACK: 1, RST: 2, ICMP: 3 } as const;

export const CLASSIFICATION_NAMES = ['none', 'synack', 'rst', 'icmp'] as const;

const RANKS = [0, 3, 2, 1] as const;

/** True if `code` says more about a target than `other`. Both are known codes. */
export function outranks(code: number, other: number): boolean {
  return (RANKS[code] ?? 0) > (RANKS[other] ?? 0);
}

/** True if a reply of this class means that the service is there. */
export function isSuccess(code: number): boolean {
  return code === CLASSIFICATION.SYNACK;
}
