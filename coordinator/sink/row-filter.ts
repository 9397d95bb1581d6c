/**
 * Conditions on rows in ZMap's language of output filters: `success = 1 && (ttl < 64 || classification = rst)`.
 * A comparison with a field that the row does not have is false, as in SQL.
 */
import { Fault } from '../../shared/base/faults.js';
import { ALIAS_FIELD_NAMES, ALIAS_FIELDS } from './alias-fields.js';
import { quote } from './duck.js';
import { FIELDS, type Field, type Row, type Value } from './fields.js';

export interface RowFilter {
  /** Decides whether a row passes; the row must have all fields. Undefined if only SQL can evaluate the condition. */
  readonly test: ((row: Row) => boolean) | undefined;
  /** The same as an SQL condition. */
  readonly sql: string;
}

/** Stored rows, once they are read, also have the fields about aliases. */
const STORED_FIELDS: readonly Field[] = [...FIELDS, ...ALIAS_FIELDS];

type Compare = (a: Value, b: Value) => boolean;
/** The names that a condition may use: only fields of rows, or also the other columns of stored rows. */
type Known = 'rows' | 'columns';
type Condition = Required<{ test: (row: Row) => boolean; sql: string }>;

const OPERATORS: Readonly<Record<string, { sql: string; compare: Compare; isOrder: boolean }>> = {
  '=': { sql: '=', compare: (a, b) => a === b, isOrder: false },
  '==': { sql: '=', compare: (a, b) => a === b, isOrder: false },
  '!=': { sql: '<>', compare: (a, b) => a !== b, isOrder: false },
  '<': { sql: '<', compare: (a, b) => Number(a) < Number(b), isOrder: true },
  '>': { sql: '>', compare: (a, b) => Number(a) > Number(b), isOrder: true },
  '<=': { sql: '<=', compare: (a, b) => Number(a) <= Number(b), isOrder: true },
  '>=': { sql: '>=', compare: (a, b) => Number(a) >= Number(b), isOrder: true },
};
const TOKEN = /\s*(?:(&&|\|\||[()]|[=!<>]=|[=<>])|"([^"]*)"|'([^']*)'|([\w.:-]+))/y;
/** Conditions within conditions. */
const DEPTH_MAX = 100;

interface Token {
  readonly kind: 'symbol' | 'text' | 'word';
  readonly text: string;
}

/**
 * Reads `scan --output-filter`.
 * @throws Fault BAD_OPTION for an unknown field, or for a value that does not have the type of its field
 */
export function parseOutputFilter(text: string): RowFilter {
  return parseRowFilter(text, 'rows');
}

/** Reads `results --filter`: columns that are no fields of rows are left to SQL. @throws Fault BAD_OPTION */
export function parseStoredFilter(text: string): RowFilter {
  return parseRowFilter(text, 'columns');
}

/** Reads a condition in ZMap's language; anything else, such as a comparison of two fields, is taken for SQL. */
function parseRowFilter(text: string, known: Known): RowFilter {
  const tokens = tokensOf(text);
  const parsed = tokens && new Parser(tokens, text, known).parse();
  return parsed ?? { test: undefined, sql: text };
}

/** The tokens of a text; undefined if it contains a character that does not occur in ZMap's language. */
function tokensOf(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const [, symbol, double, single, word] = match;
    if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else tokens.push({ kind: 'text', text: double ?? single ?? '' });
  }
  return tokens;
}

/**
 * A recursive-descent parser: `||` binds least, then `&&`. Its methods return undefined as soon as the text
 * cannot be in ZMap's language.
 */
class Parser {
  readonly #tokens: readonly Token[];
  readonly #text: string;
  readonly #known: Known;
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], text: string, known: Known) {
    this.#tokens = tokens;
    this.#text = text;
    this.#known = known;
  }

  parse(): Condition | undefined {
    const condition = this.#either();
    return this.#at === this.#tokens.length ? condition : undefined;
  }

  #either(): Condition | undefined {
    return this.#joined(
      '||',
      'OR',
      () => this.#both(),
      (parts, row) => parts.some((p) => p.test(row)),
    );
  }

  #both(): Condition | undefined {
    return this.#joined(
      '&&',
      'AND',
      () => this.#term(),
      (parts, row) => parts.every((p) => p.test(row)),
    );
  }

  #joined(
    symbol: string,
    sql: string,
    next: () => Condition | undefined,
    test: (parts: readonly Condition[], row: Row) => boolean,
  ): Condition | undefined {
    const parts: Condition[] = [];
    do {
      const part = next();
      if (part === undefined) return undefined;
      parts.push(part);
    } while (this.#take(symbol));
    if (parts.length === 1) return parts[0];
    const all = parts.map((part) => part.sql).join(` ${sql} `);
    return { test: (row) => test(parts, row), sql: `(${all})` };
  }

  #term(): Condition | undefined {
    if (!this.#take('(')) return this.#comparison();
    if (++this.#depth > DEPTH_MAX) throw this.#fault('too many parentheses within each other', '(');
    const condition = this.#either();
    this.#depth--;
    return this.#take(')') ? condition : undefined;
  }

  #comparison(): Condition | undefined {
    const [name, operator, value] = this.#tokens.slice(this.#at, this.#at + 3);
    const known = OPERATORS[operator?.text ?? ''];
    if (name?.kind !== 'word' || operator?.kind !== 'symbol' || known === undefined)
      return undefined;
    if (value === undefined || value.kind === 'symbol') return undefined;
    const fields = this.#known === 'columns' ? STORED_FIELDS : FIELDS;
    const indexOf = ({ text }: Token) => fields.findIndex((field) => field.name === text);
    // In SQL, and only there, a word on the right may be a column.
    if (value.kind === 'word' && indexOf(value) >= 0) return undefined;
    this.#at += 3;
    const index = indexOf(name);
    const field = fields[index];
    if (field !== undefined && known.isOrder && field.kind !== 'number') return undefined;
    if (field === undefined && this.#known === 'columns') return undefined;
    if (field === undefined) {
      if (ALIAS_FIELD_NAMES.includes(name.text)) {
        throw this.#fault(
          'is known only at the end: filter with transect results --filter',
          name.text,
        );
      }
      const names = FIELDS.map((each) => each.name).join(' ');
      throw this.#fault(`no such field; there are: ${names}`, name.text);
    }
    const wanted = this.#valueFor(field, value);
    return {
      test: (row) => row[index] !== null && known.compare(row[index] as Value, wanted),
      sql: `"${field.name}" ${known.sql} ${typeof wanted === 'string' ? quote(wanted) : wanted}`,
    };
  }

  #valueFor({ name, kind }: Field, { text }: Token): Value {
    if (kind === 'string') return text;
    if (kind === 'number') {
      const value = Number(text);
      if (text !== '' && Number.isFinite(value)) return value;
      throw this.#fault(`${name} is a number`, text);
    }
    if (text === '1' || text === 'true') return true;
    if (text === '0' || text === 'false') return false;
    throw this.#fault(`${name} is 1 or 0`, text);
  }

  #take(symbol: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'symbol' || token.text !== symbol) return false;
    this.#at++;
    return true;
  }

  #fault(reason: string, value: string): Fault {
    return new Fault('BAD_OPTION', `${reason} (in: ${this.#text})`, { value });
  }
}
