/** Tags stored rows with the votes on the prefixes of their targets: a table `alias_tags`, by position. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { AliasTests } from '../../../shared/survey/space/alias-tests.js';
import { rowsOf } from '../../sink/duck.js';
import type { PublicSurvey } from '../../storage/folder-layout.js';
import { AliasVotes, type AnsweredTarget } from './alias-votes.js';

/** The tests of a survey that detects aliases. */
export function testsOf({
  seed,
  aliasLengths,
}: Pick<PublicSurvey, 'seed' | 'aliasLengths'>): AliasTests | undefined {
  return aliasLengths.length === 0 ? undefined : new AliasTests(seed, aliasLengths);
}

interface StoredTarget extends AnsweredTarget {
  readonly position: number;
  readonly isSuccess: boolean;
}

/** Counts the votes in a table of rows. */
export async function countVotes(
  connection: DuckDBConnection,
  table: string,
  tests: AliasTests,
): Promise<AliasVotes> {
  const votes = new AliasVotes(tests);
  for await (const target of targetsIn(connection, table)) if (target.isSuccess) votes.add(target);
  return votes;
}

/** Makes the table `alias_tags`, which has one entry for each row of an IPv6 target. */
export async function tagRows(
  connection: DuckDBConnection,
  table: string,
  tests: AliasTests,
): Promise<void> {
  const votes = await countVotes(connection, table, tests);
  await connection.run(
    'CREATE TEMP TABLE alias_tags (position DOUBLE, alias_test BOOLEAN, alias_votes INTEGER, aliased BOOLEAN)',
  );
  const appender = await connection.createAppender('alias_tags');
  for await (const target of targetsIn(connection, table)) {
    const { isTest, votes: count, isAliased } = votes.tagOf(target);
    appender.appendDouble(target.position);
    appender.appendBoolean(isTest);
    appender.appendInteger(count);
    appender.appendBoolean(isAliased);
    appender.endRow();
  }
  appender.closeSync();
}

async function* targetsIn(
  connection: DuckDBConnection,
  table: string,
): AsyncGenerator<StoredTarget> {
  const fields = 'position::DOUBLE, saddr, probe, coalesce(sport, 0)::INTEGER, success';
  const sql = `SELECT ${fields} FROM ${table} WHERE contains(saddr, ':')`;
  for await (const rows of rowsOf(connection, sql)) {
    for (const [position, address, probe, port, success] of rows) {
      yield {
        position: Number(position),
        address: String(address),
        probe: String(probe),
        port: Number(port),
        isSuccess: success === true,
      };
    }
  }
}
