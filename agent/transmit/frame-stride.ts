/** The distance between frames in memory. */
const STRIDE_MIN = 128;

/**
 * The smallest power of two, from `STRIDE_MIN` on, that holds this many octets: no frame then crosses a page.
 */
export function frameStride(octets: number): number {
  let stride = STRIDE_MIN;
  while (stride < octets) stride *= 2;
  return stride;
}
