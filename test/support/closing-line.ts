/** Prints the plain line `N passed, N failed, N skipped` that CI reads, after vitest's own summary. */
import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) counts[test.result().state]++;
      if (module.state() === 'failed' && [...module.children.allTests()].length === 0)
        counts.failed++;
    }
    const { passed, failed } = counts;
    console.log(`\n${passed} passed, ${failed} failed, ${counts.skipped + counts.pending} skipped`);
  }
}
