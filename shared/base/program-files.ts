/**
 * Files that a program loads at run time: scripts of its threads and processes, and compiled kernels. They are found
 * from the root of the program, which is the repository or its `dist/` folder, wherever the calling module is bundled.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MARK = 'shared/simd/gen/kernels.wasm';
const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)));

/** @param path from the root, with the extension `.js` for scripts */
export function programFile(path: string): string {
  return join(ROOT, path);
}

function rootAbove(folder: string): string {
  if (existsSync(join(folder, MARK))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error(`${MARK} is missing: run 'npm run build'`);
  return rootAbove(parent);
}
