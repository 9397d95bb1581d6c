/** The keys that may sign, in the format of OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS). */
import { readFileSync } from 'node:fs';
import { describeError, Fault, located } from '../base/faults.js';

export interface AllowedSigner {
  /** `ada@example.org`, or several, separated by commas. */
  readonly principals: string;
  /** `ssh-ed25519 AAAA…`. */
  readonly key: string;
  /** Namespaces for which it may sign; empty: all. */
  readonly namespaces: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly validAfter: number;
  readonly validBefore: number;
}

const KEY_TYPE = /^(sk-)?(ssh|ecdsa)-/;
/** YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z]. */
const TIME = /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?Z?$/;

/** @throws Fault UNREADABLE_FILE or BAD_LIST, with the file */
export function readSigners(file: string): readonly AllowedSigner[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = `cannot read the file: ${describeError(cause)}`;
    throw new Fault('UNREADABLE_FILE', reason, { file }, cause);
  }
  const signers = parseAllowedSigners(text, file);
  if (signers.length > 0) return signers;
  throw new Fault('BAD_LIST', 'the file has no keys, so nobody could authorize a survey', { file });
}

/** @param file for errors @throws Fault BAD_LIST with file and line */
export function parseAllowedSigners(text: string, file: string): readonly AllowedSigner[] {
  return text.split('\n').flatMap((line, i) => {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) return [];
    return [located({ file, line: i + 1 }, () => parseLine(content))];
  });
}

function parseLine(line: string): AllowedSigner {
  const fields = fieldsOf(line);
  const at = fields.findIndex((field) => KEY_TYPE.test(field));
  const [principals] = fields;
  const [type, key] = [fields[at], fields[at + 1]];
  if (at < 1 || at > 2 || principals === undefined || type === undefined || key === undefined) {
    const reason =
      'a line has principals, options if there are any, the type of the key and the key';
    throw new Fault('BAD_LIST', reason, { value: line.slice(0, 80) });
  }
  const options = at === 2 ? optionsOf(fields[1] as string) : new Map<string, string>();
  for (const name of options.keys()) {
    if (['namespaces', 'valid-after', 'valid-before'].includes(name)) continue;
    throw new Fault('BAD_LIST', 'this option is not supported', { value: name });
  }
  return {
    principals,
    key: `${type} ${key}`,
    namespaces: options.get('namespaces')?.split(',') ?? [],
    validAfter: timeOf(options.get('valid-after'), Number.NEGATIVE_INFINITY),
    validBefore: timeOf(options.get('valid-before'), Number.POSITIVE_INFINITY),
  };
}

/** Fields are separated by blanks outside quotes. */
function fieldsOf(line: string): string[] {
  return line.match(/(?:"[^"]*"|[^\s"])+/g) ?? [];
}

function optionsOf(text: string): Map<string, string> {
  const parts = text.match(/(?:"[^"]*"|[^,"])+/g) ?? [];
  return new Map(
    parts.map((part) => {
      const [name = '', value = ''] = part.split(/=(.*)/s);
      return [name.toLowerCase(), value.replace(/^"|"$/g, '')];
    }),
  );
}

function timeOf(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const [, year, month, day, hour = '0', minute = '0', second = '0'] = TIME.exec(text) ?? [];
  if (year === undefined)
    throw new Fault('BAD_LIST', 'a time is YYYYMMDD[HHMM[SS]][Z]', { value: text });
  // OpenSSH takes times without Z as local ones; here, all are UTC, so that every host agrees.
  return Date.UTC(+year, Number(month) - 1, Number(day), +hour, +minute, +second);
}

/**
 * The principals of a key that may sign in a namespace at a time.
 * @throws Fault UNAUTHORIZED if it may not
 */
export function principalsOf(
  signers: readonly AllowedSigner[],
  key: string,
  namespace: string,
  time: number,
): string {
  const known = signers.filter((signer) => signer.key === key);
  if (known.length === 0)
    throw new Fault('UNAUTHORIZED', 'it is signed by a key that is not among the allowed signers');
  const named = known.filter(
    ({ namespaces }) => namespaces.length === 0 || namespaces.includes(namespace),
  );
  if (named.length === 0)
    throw new Fault('UNAUTHORIZED', `its signer may not sign for ${namespace}`);
  const valid = named.find(
    ({ validAfter, validBefore }) => validAfter <= time && time < validBefore,
  );
  if (valid === undefined)
    throw new Fault('UNAUTHORIZED', 'the key of its signer is not valid at this time');
  return valid.principals;
}
