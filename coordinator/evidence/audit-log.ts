/**
 * The audit log: a line for each request that changes something, with its outcome. Each line has the hash of all lines
 * up to it, signed with the coordinator's key, so no line can be changed, or removed from the middle, without it
 * being noticed. Lines removed from the end are missed only by somebody who knows how many there were.
 *     DATA/audit.ndjson
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { type Clock, isoTime } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { isSigned } from '../../shared/bus/signature.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { SigningKey } from '../storage/signing-key.js';

export const AUDIT_FILE = 'audit.ndjson';

/** A request, and what became of it. */
export interface AuditedRequest {
  /** The name of the login. */
  readonly person: string;
  readonly verb: string;
  readonly request: object;
  /** `done`, or the code of the fault with which it was answered. */
  readonly outcome: string;
}

const entryShape = z.strictObject({
  number: z.number().int().min(1),
  /** ISO 8601. */
  at: z.string(),
  person: z.string(),
  verb: z.string(),
  request: z.looseObject({}),
  outcome: z.string(),
});
const lineShape = z.strictObject({
  ...entryShape.shape,
  /** SHA-256 over the hash before and this entry. */
  head: z.string(),
  /** Of the head, by the coordinator. */
  signed: z.strictObject({ key: z.string(), signature: z.string() }),
});

export type AuditEntry = z.infer<typeof entryShape>;
type AuditLine = z.infer<typeof lineShape>;

/** The end of the log, as we know it. */
interface LastLine {
  readonly number: number;
  readonly head: string;
  /** Octets of the log. */
  readonly size: number;
}

export interface AuditLogDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly signingKey: SigningKey;
}

export class AuditLog {
  readonly #file: string;
  readonly #deps: AuditLogDeps;
  #last: LastLine | undefined;
  /** Entries that are not written yet. */
  readonly #waiting: Omit<AuditEntry, 'number'>[] = [];
  #writing: Promise<void> = Promise.resolve();

  /** @param data the coordinator's data folder */
  constructor(data: string, deps: AuditLogDeps) {
    this.#file = join(data, AUDIT_FILE);
    this.#deps = deps;
  }

  /**
   * Adds a line. Resolves once it is durable, or once that has failed: then it is written with the next one, because
   * a full disk must not prevent anybody from stopping a survey.
   */
  async add({ person, verb, request, outcome }: AuditedRequest): Promise<void> {
    const at = isoTime(this.#deps.clock.wall());
    const content = JSON.parse(JSON.stringify(request)) as AuditEntry['request'];
    this.#waiting.push({ at, person, verb, request: content, outcome });
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { disk, log, signingKey } = this.#deps;
    try {
      // A former coordinator may have entered its last request meanwhile.
      if (this.#last?.size !== (await disk.size(this.#file)))
        this.#last = await lastLine(disk, this.#file);
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const entry: AuditEntry = { number: this.#last.number + 1, ...next };
        const head = headAfter(this.#last.head, entry);
        const line = { ...entry, head, signed: await signingKey.sign('audit', head) };
        await disk.append(this.#file, `${JSON.stringify(line)}\n`);
        this.#last = { number: entry.number, head, size: await disk.size(this.#file) };
        this.#waiting.shift();
      }
    } catch (error) {
      this.#last = undefined; // a part of the line may have been written
      const details = { error: describeError(error) };
      log.error(details, 'failed to write the audit log; retrying with the next request');
    }
  }
}

/**
 * The entries of an audit log, each after its hash and its signature were checked.
 * @throws Fault BAD_MESSAGE, with file and line, at the first line that was changed or follows a missing one
 */
export async function* readAuditLog(
  disk: Disk,
  file: string,
): AsyncGenerator<AuditEntry & Pick<AuditLine, 'signed'>> {
  let before = { number: 0, head: '' };
  let number = 0;
  for await (const text of disk.lines(file)) {
    number++;
    const line = parseLine(text);
    if (line === undefined) continue; // torn: the entry was written again
    const { head, signed, ...entry } = line;
    const isNext = line.number === before.number + 1 && head === headAfter(before.head, entry);
    if (!isNext || !isSigned('audit', head, signed)) {
      const reason =
        'the audit log was changed: this line, or lines before it, are not the original ones';
      throw new Fault('BAD_MESSAGE', reason, { file, line: number });
    }
    before = { number: line.number, head };
    yield { ...entry, signed };
  }
}

async function lastLine(disk: Disk, file: string): Promise<LastLine> {
  const size = await disk.size(file);
  let last = { number: 0, head: '', size };
  for await (const text of disk.lines(file)) {
    const line = parseLine(text);
    if (line !== undefined) last = { number: line.number, head: line.head, size };
  }
  return last;
}

function headAfter(
  head: string,
  { number, at, person, verb, request, outcome }: AuditEntry,
): string {
  const text = JSON.stringify([head, number, at, person, verb, request, outcome]);
  return createHash('sha256').update(text).digest('hex');
}

/** Undefined for a torn line. */
function parseLine(text: string): AuditLine | undefined {
  try {
    return lineShape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
