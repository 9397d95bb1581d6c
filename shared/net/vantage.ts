/** Labels of vantage points: where agents stand. */

/** At most 48 letters, digits, `_` and `-`; never a `-` first, which spreadsheets take for a formula. */
export const VANTAGE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,47}$/;

/** The nearest label to a text that may be none, such as a host's name. */
export function toVantage(text: string): string {
  const label = text
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .replace(/^-+/, '')
    .slice(0, 48);
  return label === '' ? 'unnamed' : label;
}
