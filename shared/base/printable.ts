/**
 * Makes untrusted text harmless for printing: control characters move cursors and ring bells, direction marks
 * (Unicode TR 36 §2) reverse lines, and spreadsheets run cells that begin like a formula.
 */

/** C0, DEL and C1, line and paragraph separators, direction marks, the byte order mark, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/gu;
/** Half of a surrogate pair at the end of a text, left by cutting a character outside the basic plane. */
const HALF_LETTER = /[\ud800-\udbff]$/;
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function isPrintable(text: string): boolean {
  return text.search(UNPRINTABLE) < 0;
}

/**
 * The same text with `\uXXXX` for characters that must not reach a terminal; line ends stay if `keepLines`.
 */
export function inert(text: string, keepLines = false): string {
  return text.replace(UNPRINTABLE, (letter) => {
    if (keepLines && letter === '\n') return letter;
    return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** One printable line of at most `most` characters, for messages. */
export function oneLine(text: string, most: number): string {
  const line = inert(text.trim().replace(/\s+/g, ' '));
  return line.length <= most ? line : `${line.slice(0, most - 1).replace(HALF_LETTER, '')}…`;
}

/** A spreadsheet cell, marked as text unless it is a number. */
export function inertCell(text: string): string {
  return FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
}
