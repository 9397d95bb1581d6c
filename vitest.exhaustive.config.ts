import { defineConfig } from 'vitest/config';

/** Proofs that take minutes, separate from the quick tests. */
export default defineConfig({
  test: {
    include: ['test/exhaustive/*.exhaustive.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    pool: 'forks',
  },
});
