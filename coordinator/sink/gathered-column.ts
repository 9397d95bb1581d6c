/** The columns in which rows are gathered for DuckDB: values of fixed width, or texts. */
import type { RowSource } from './row-source.js';

/** One column of the table that rows are gathered in. */
export interface GatheredColumn {
  readonly name: string;
  readonly type: string;
  /** Octets of a value; 0 for text. */
  readonly width: number;
  /** Writes a value in host order. @returns false if the row has none */
  readonly write?: (view: DataView, at: number, source: RowSource) => boolean;
  readonly text?: (source: RowSource) => string | null;
}

export type Read = (source: RowSource) => number;
export type Has = (source: RowSource) => boolean;

const always: Has = () => true;

export const u8 = (name: string, read: Read, has = always): GatheredColumn => ({
  name,
  type: 'UTINYINT',
  width: 1,
  write: (view, at, source) => {
    if (!has(source)) return false;
    view.setUint8(at, read(source));
    return true;
  },
});
export const boolean = (name: string, read: Has, has = always): GatheredColumn => ({
  ...u8(name, (source) => (read(source) ? 1 : 0), has),
  type: 'BOOLEAN',
});
export const u16 = (name: string, read: Read, has = always): GatheredColumn => ({
  name,
  type: 'USMALLINT',
  width: 2,
  write: (view, at, source) => {
    if (!has(source)) return false;
    view.setUint16(at, read(source), true);
    return true;
  },
});
export const u32 = (name: string, read: Read, has = always): GatheredColumn => ({
  name,
  type: 'UINTEGER',
  width: 4,
  write: (view, at, source) => {
    if (!has(source)) return false;
    view.setUint32(at, read(source), true);
    return true;
  },
});
/** A whole number below 2^53 in 64 bits. */
export const u64 = (name: string, type: string, read: Read): GatheredColumn => ({
  name,
  type,
  width: 8,
  write: (view, at, source) => {
    const value = read(source);
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    return true;
  },
});
