/**
 * Reasons why a position was settled without a probe: an unsent target is not silent. Codes are in the
 * classification column of batches, above those of replies; such rows are stored apart.
 */
export const UNSENT = {
  /** Excluded by an exclusion in force (an opt-out). */
  EXCLUDED: 16,
  /** Blocked by the agent's own blocklist. */
  BLOCKED: 17,
  /** The host has no route to it, or a null route. */
  UNROUTABLE: 18,
  /** On the link, but no neighbour has the address. */
  NO_NEIGHBOUR: 19,
  /** The host's own firewall dropped the probe. */
  FIREWALLED: 20,
  /** The kernel refused it for another reason. */
  SEND_FAILED: 21,
  /**
   * The target's network prohibits probes, and was therefore slowed so much that the survey ended before the
   * probe was sent.
   */
  PROHIBITED: 22,
} as const;

/** The lowest of the codes. */
export const UNSENT_FIRST = UNSENT.EXCLUDED;

export const UNSENT_NAMES = [
  'excluded',
  'blocked',
  'unroutable',
  'noNeighbour',
  'firewalled',
  'sendFailed',
  'prohibited',
] as const;

export type UnsentName = (typeof UNSENT_NAMES)[number];
export type UnsentCounts = Record<UnsentName, number>;

/** For each reason: the words after the count of unsent targets in messages. */
export const UNSENT_WORDS: Readonly<Record<UnsentName, string>> = {
  excluded: 'excluded',
  blocked: 'on an agent’s own blocklist',
  unroutable: 'unreachable: no route',
  noNeighbour: 'unreachable: no neighbour',
  firewalled: 'dropped by the host’s firewall',
  sendFailed: 'refused by the kernel',
  prohibited: 'in slowed networks, which prohibit probes',
};

export function isUnsent(code: number): boolean {
  return code >= UNSENT_FIRST && code < UNSENT_FIRST + UNSENT_NAMES.length;
}

/** @param code an `UNSENT` code */
export function unsentName(code: number): UnsentName {
  return UNSENT_NAMES[code - UNSENT_FIRST] as UnsentName;
}

export function noneUnsent(): UnsentCounts {
  return Object.fromEntries(UNSENT_NAMES.map((name) => [name, 0])) as UnsentCounts;
}

export function sumUnsent(counts: Readonly<UnsentCounts>): number {
  return UNSENT_NAMES.reduce((sum, name) => sum + counts[name], 0);
}
