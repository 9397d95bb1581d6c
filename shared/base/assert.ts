/**
 * Assertions guard our own invariants. Errors of the outside world (networks, files, people) are a `Fault`,
 * never an assertion.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';

  constructor(message: string) {
    super(`broken invariant: ${message}`);
  }
}
