/** Labels of vantage points: the places of agents. */

/** At most 48 letters, digits, `_` and `-`; no leading `-`, which spreadsheets take for a formula. */
export const VANTAGE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,47}$/;

/** Turns any text, such as a host name, into the most similar valid label. */
export function toVantage(text: string): string {
  const label = text
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .replace(/^-+/, '')
    .slice(0, 48);
  return label === '' ? 'unnamed' : label;
}
