import { defineConfig } from 'vitest/config';

/** The proofs that take minutes, apart from the quick tests. */
export default defineConfig({
  test: {
    include: ['test/exhaustive/*.exhaustive.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    pool: 'forks',
  },
});
