/**
 * DuckDB for users' SQL, in a sandbox: it reads the segments of one survey, writes the one file it was given,
 * spills to a temporary folder of its own, and reaches nothing else: no other file, no network, no extension;
 * and the configuration is locked (duckdb.org, "Securing DuckDB").
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { describeError, Fault, type FaultDetails } from '../../../shared/base/faults.js';
import { scratchFolder } from '../../../shared/host/scratch.js';
import { duckdbApi, quote } from '../../sink/duck.js';

const SETTINGS = { threads: '1', memory_limit: '512MB' };
const EXPLAIN = /^\s*explain\s+(?!analy[sz]e)/i;

export interface Reach {
  /** A folder that users' SQL may read. */
  readonly folder: string;
  /** A file that users' SQL may write. */
  readonly writes?: string | undefined;
  /** SQL that runs before the lock, so it may name files. */
  readonly prepare?: string | undefined;
  /** No sandbox, for users who want all of DuckDB. */
  readonly isUnsafe?: boolean | undefined;
}

/** A sandboxed connection; closed when disposed. */
export class LockedDuck implements AsyncDisposable {
  readonly connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  readonly #scratch: string;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, scratch: string) {
    this.connection = connection;
    this.#instance = instance;
    this.#scratch = scratch;
  }

  static async open(reach: Reach): Promise<LockedDuck> {
    const { DuckDBInstance } = await duckdbApi();
    const scratch = await scratchFolder('query');
    const instance = await DuckDBInstance.create(':memory:', SETTINGS);
    const duck = new LockedDuck(instance, await instance.connect(), scratch);
    try {
      await duck.connection.run(`SET temp_directory=${quote(scratch)}`);
      if (reach.prepare !== undefined) await duck.connection.run(reach.prepare);
      if (!reach.isUnsafe) for (const each of lockOf(reach)) await duck.connection.run(each);
      return duck;
    } catch (error) {
      await duck[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.closeSync();
    this.#instance.closeSync();
    await rm(this.#scratch, { recursive: true, force: true });
  }
}

/** @throws Fault BAD_OPTION unless the text is one statement that only reads */
export async function refuseWriting(
  connection: DuckDBConnection,
  sql: string,
  location: FaultDetails,
): Promise<void> {
  const statements = await connection.extractStatements(sql).catch(async () => {
    throw new Fault('BAD_OPTION', await whyUnreadable(connection, sql), location);
  });
  if (statements.count !== 1) {
    const reason = `expected one statement, got ${statements.count}`;
    throw new Fault('BAD_OPTION', reason, location);
  }
  const { StatementType } = await duckdbApi();
  const statement = await statements.prepare(0);
  const { statementType } = statement;
  statement.destroySync();
  if (statementType === StatementType.SELECT) return;
  // EXPLAIN ANALYZE runs the statement.
  if (statementType === StatementType.EXPLAIN && EXPLAIN.test(sql)) return;
  throw new Fault('BAD_OPTION', 'only statements that read are allowed, such as SELECT', location);
}

/** If `extractStatements` fails, it does not give the reason (@duckdb/node-api 1.5.6); `prepare` does. */
async function whyUnreadable(connection: DuckDBConnection, sql: string): Promise<string> {
  try {
    (await connection.prepare(sql)).destroySync();
    return 'there is no statement';
  } catch (error) {
    const [reason = ''] = describeError(error).split('\n');
    return reason.includes('native callback') ? 'there is no statement' : reason;
  }
}

/**
 * Statements that lock the connection. Their order matters: paths must be allowed before external access is
 * disabled, and the lock comes last because it prevents all further changes.
 */
function lockOf({ folder, writes }: Reach): readonly string[] {
  return [
    `SET allowed_directories=[${quote(join(folder, '/'))}]`,
    ...(writes === undefined ? [] : [`SET allowed_paths=[${quote(writes)}]`]),
    'SET autoinstall_known_extensions=false',
    'SET autoload_known_extensions=false',
    'SET allow_community_extensions=false',
    'SET enable_external_access=false',
    'SET lock_configuration=true',
  ];
}
