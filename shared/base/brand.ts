/**
 * Nominal number types. A position, a target index and a rate are all JavaScript numbers; at no runtime cost,
 * a brand prevents one kind from being passed where another is expected.
 */
declare const brand: unique symbol;

export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Index of a target in the space: 0 ≤ index < size ≤ 2^53. */
export type TargetIndex = Brand<number, 'TargetIndex'>;

/** Index in probing order: 0 ≤ position < size ≤ 2^53. */
export type Position = Brand<number, 'Position'>;

/** Packets per second, > 0; fractions are allowed. */
export type Pps = Brand<number, 'Pps'>;

/** A duration or an instant of a clock, in milliseconds. */
export type Millis = Brand<number, 'Millis'>;
