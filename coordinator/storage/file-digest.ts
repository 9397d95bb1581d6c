/** Digests of stored files: their length and SHA-256, from which a changed octet is recognised later. */
import { createHash } from 'node:crypto';
import type { Disk } from '../../shared/host/disk.js';

export interface FileDigest {
  readonly octets: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

const PART_OCTETS = 1024 * 1024;

/** The digest of a file, or of its first `octets`; of none, if it is missing. */
export async function digestOf(
  disk: Disk,
  file: string,
  octets = Number.POSITIVE_INFINITY,
): Promise<FileDigest> {
  const hash = createHash('sha256');
  let read = 0;
  while (read < octets) {
    const part = await disk.readPart(file, read, Math.min(PART_OCTETS, octets - read));
    if (part.length === 0) break;
    hash.update(part);
    read += part.length;
  }
  return { octets: read, sha256: hash.digest('hex') };
}

export function isSameDigest(one: FileDigest, other: FileDigest): boolean {
  return one.octets === other.octets && one.sha256 === other.sha256;
}
