/**
 * Assertions guard what we promise ourselves. What the world does wrong (networks, files, people)
 * is a `Fault`, never an assertion.
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
