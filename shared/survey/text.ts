/** Text for people: names, reasons, contacts. */
import { Fault } from '../base/faults.js';
import { isPrintable } from '../base/printable.js';

/** Maximum length of such text in messages, in characters. */
export const TEXT = { WORD: 64, NAME: 200, LINE: 1000 } as const;

/** One printable line, trimmed. @throws Fault BAD_OPTION */
function parseLine(text: string, most: number): string {
  const line = text.trim();
  if (line.length <= most && isPrintable(line)) return line;
  const reason = isPrintable(line)
    ? `a text has at most ${most} characters, and this one has ${line.length}`
    : 'a text is one line without control characters';
  throw new Fault('BAD_OPTION', reason, { value: line.slice(0, TEXT.WORD) });
}

export const parseName = (text: string) => parseLine(text, TEXT.NAME);
export const parseSentence = (text: string) => parseLine(text, TEXT.LINE);
