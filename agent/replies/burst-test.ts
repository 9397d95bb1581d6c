/**
 * A statistical test: do the ICMP errors of a host arrive in bursts, or as evenly as a token bucket lets them
 * through? The sending sequence is random, so the places of the targets that a host answers with an error are
 * spread over it at random, whatever the rate is and whenever it changes. If instead some of these
 * targets lie close together or far apart in the sequence, or if all of them are spread more evenly than chance
 * explains, the host limits the rate of its errors.
 *
 * Each test has a closed form for n points at random on an interval: the sum of k neighbouring gaps has a
 * beta distribution (David and Nagaraja, "Order Statistics", §6.4), and evenness is the lower tail of the
 * Kolmogorov-Smirnov distance.
 */

/** Number of points tested together; after each test of that many, the older half is dropped. */
const WINDOW_POINTS = 64;
/** Maximum number of points kept while replies before them have still to be read. */
const POINTS_MAX = 4096;
/** Fewer points than this are never judged too even. */
const EVEN_LEAST = 12;
/**
 * Numbers of neighbouring gaps whose sum is tested for being too short: those within bursts of 4, 6, 11 and
 * 21 errors.
 */
const BURST_GAPS: readonly number[] = [3, 5, 10, 20];

export class BurstTest {
  /** Ascending places in the sending sequence, from 1. */
  #points: number[] = [];
  /** Start of the interval: the last point that was dropped. */
  #from: number;
  /** Number of windows: one more each time the older half is dropped, because each window is another test. */
  #windows = 1;

  /** @param from zero-based position in the sending sequence; errors of targets before it do not count */
  constructor(from: number) {
    this.#from = from;
  }

  /** Adds an error, in any order. @param target the place of its target in the sending sequence, from 0 */
  add(target: number): void {
    const points = this.#points;
    const place = target + 1; // its end, so that a share of 1/N comes before the first of N targets
    if (place <= this.#from) return;
    let at = points.length;
    while (at > 0 && (points[at - 1] as number) > place) at--;
    points.splice(at, 0, place);
    if (points.length <= POINTS_MAX) return;
    this.#from = points.at(-1) as number; // so many errors at once are no limit
    this.#points = [];
  }

  /**
   * Removes `places` places that were given up, starting at `from` (counted from 0); all places after these
   * move down.
   */
  cut(from: number, places: number): void {
    const to = from + places;
    const kept = this.#points.filter((point) => point <= from || point > to);
    this.#points = kept.map((point) => (point > to ? point - places : point));
    if (this.#from > from) this.#from = Math.max(from, this.#from - places);
  }

  /**
   * The probability that errors at random places look like those found: the minimum over the current window
   * and the windows that have filled since the last call.
   * @param to place in the sending sequence below which all replies have been read
   */
  chance(to: number): number {
    let least = 1;
    let count = this.#countUpTo(to);
    for (; count > WINDOW_POINTS; count -= WINDOW_POINTS / 2) {
      const window = this.#points.slice(0, WINDOW_POINTS);
      least = Math.min(least, this.#windowChance(window, window.at(-1) as number));
      this.#from = window[WINDOW_POINTS / 2 - 1] as number;
      this.#points = this.#points.slice(WINDOW_POINTS / 2);
      this.#windows++;
    }
    return Math.min(least, this.#windowChance(this.#points.slice(0, count), to));
  }

  #countUpTo(to: number): number {
    let count = 0;
    while (count < this.#points.length && (this.#points[count] as number) <= to) count++;
    return count;
  }

  #windowChance(points: readonly number[], end: number): number {
    const length = end - this.#from;
    if (points.length === 0 || length <= 0) return 1;
    const chances = [gapChance(points, this.#from, end), burstChance(points, length)];
    return Math.min(1, this.#windows ** 2 * Math.min(evenChance(points), ...chances));
  }
}

/**
 * The probability of a gap as long as the longest one, which is a share g of the interval: at most (n + 1)(1
 * − g)^n.
 */
function gapChance(points: readonly number[], from: number, to: number): number {
  let longest = to - (points.at(-1) as number);
  let before = from;
  for (const point of points) {
    longest = Math.max(longest, point - before - 1); // targets without an error
    before = point;
  }
  return (points.length + 1) * (1 - longest / (to - from)) ** points.length;
}

/**
 * The probability of k neighbouring gaps as short as the shortest ones, a share w of the interval: at most
 * n·C(n, k)·w^k.
 */
function burstChance(points: readonly number[], length: number): number {
  const count = points.length;
  let least = 1;
  for (const gaps of BURST_GAPS) {
    if (gaps >= count) break;
    let shortest = length;
    for (let i = gaps; i < count; i++) {
      shortest = Math.min(shortest, (points[i] as number) - (points[i - gaps] as number));
    }
    let chance = count * BURST_GAPS.length;
    for (let i = 0; i < gaps; i++) chance *= (((count - i) / (i + 1)) * shortest) / length;
    least = Math.min(least, chance);
  }
  return least;
}

/** The probability that points lie this evenly between the first and the last of them. */
function evenChance(points: readonly number[]): number {
  const count = points.length - 2;
  const first = points[0] as number;
  const length = (points.at(-1) as number) - first;
  if (count < EVEN_LEAST || length <= count + 1) return 1;
  let distance = 0;
  for (let i = 1; i <= count; i++) {
    const share = ((points[i] as number) - first) / length;
    distance = Math.max(distance, share - (i - 1) / count, i / count - share);
  }
  // Places are drawn without replacement, which makes them more even if the host has a large part of them.
  const drawn = Math.sqrt(1 - (count + 1) / length);
  const root = Math.sqrt(count);
  return kolmogorov((distance * (root + 0.12 + 0.11 / root)) / drawn); // Stephens 1970, for few points
}

/** P(√n·D ≤ x) for many points: Kolmogorov's distribution in the form that converges for small x. */
function kolmogorov(x: number): number {
  let sum = 0;
  for (let i = 1; i <= 9; i += 2) sum += Math.exp(-(i * i * Math.PI ** 2) / (8 * x * x));
  return Math.min(1, (Math.sqrt(2 * Math.PI) / x) * sum);
}
