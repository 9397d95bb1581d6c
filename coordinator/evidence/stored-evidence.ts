/**
 * The evidence that a survey's files are those that its coordinator has stored: digests of segments in the journal,
 * digests of the other files in the manifest, and the coordinator's signature of the manifest.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { LIMITS } from '../../shared/base/limits.js';
import { fingerprint, isSigned } from '../../shared/bus/signature.js';
import type { Disk } from '../../shared/host/disk.js';
import { digestOf, type FileDigest, isSameDigest } from '../storage/file-digest.js';
import { MANIFEST_FILE, SIGNATURE_FILE } from '../storage/folder-layout.js';
import type { MergedSegment } from '../storage/journal.js';
import type { Segment } from '../storage/segments.js';
import { formatSignature } from '../storage/signing-key.js';

const SIGNATURE_OCTETS_MAX = 4096;
const digest = z.object({ octets: z.number(), sha256: z.string() });
const manifestShape = z.looseObject({ files: z.record(z.string(), digest) });
const signatureShape = z.object({ key: z.string(), signature: z.string() });

/** Digests of segments as the journal has them; a shard may have been stored again, so each file may have several. */
export class SegmentDigests {
  readonly #digests = new Map<string, FileDigest[]>();

  add({ from, to, segment }: MergedSegment): void {
    const name = `${from}-${to}`;
    this.#digests.set(name, [...(this.#digests.get(name) ?? []), segment]);
  }

  /** A violation, if the file is not one that the journal lists; undefined if it is. */
  async violationOf(disk: Disk, { from, to, file }: Segment): Promise<string | undefined> {
    const listed = this.#digests.get(`${from}-${to}`) ?? [];
    const found = await digestOf(disk, file);
    if (listed.some((each) => isSameDigest(each, found))) return undefined;
    return `${file}: its content is not the one that was stored`;
  }
}

export interface StoredEvidence {
  readonly violations: readonly string[];
  /** The fingerprint of the coordinator's key; empty if the survey is not over, or nothing is signed. */
  readonly signedBy: string;
}

/** True if a survey is over. */
export async function hasManifest(disk: Disk, folder: string): Promise<boolean> {
  return (await disk.size(join(folder, MANIFEST_FILE))) > 0;
}

/** Checks the digests and the signature of a survey; of one that is not over, only that nothing was signed. */
export async function checkManifest(disk: Disk, folder: string): Promise<StoredEvidence> {
  const file = join(folder, MANIFEST_FILE);
  const path = join(folder, SIGNATURE_FILE);
  if (!(await hasManifest(disk, folder))) {
    const isSignedAlready = (await disk.size(path)) > 0;
    return {
      violations: isSignedAlready ? [`${file}: it is missing, although it was signed`] : [],
      signedBy: '',
    };
  }
  const content = (await disk.read(file, LIMITS.recordOctets))?.toString() ?? '';
  const violations: string[] = [];
  const manifest = parse(manifestShape, content);
  if (manifest === undefined) return { violations: [`${file}: it has no digests`], signedBy: '' };
  for (const [name, expected] of Object.entries(manifest.files)) {
    const found = await digestOf(disk, join(folder, name));
    if (!isSameDigest(found, expected))
      violations.push(`${join(folder, name)}: its content is not the one that was stored`);
  }
  const text = (await disk.read(path, SIGNATURE_OCTETS_MAX))?.toString() ?? '';
  const signature = parse(signatureShape, text);
  if (signature === undefined || text !== formatSignature(signature))
    return { violations: [...violations, `${path}: it is no signature`], signedBy: '' };
  if (!isSigned('manifest', content, signature))
    return { violations: [...violations, `${file}: its signature does not fit`], signedBy: '' };
  return { violations, signedBy: fingerprint(signature) };
}

function parse<Shape extends z.ZodType>(shape: Shape, text: string): z.infer<Shape> | undefined {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
