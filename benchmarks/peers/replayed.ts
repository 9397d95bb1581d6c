/** The survey whose replies are replayed: a /16, one port, a fixed key. */
import { mappedWords, parseWords } from '../../shared/net/ipv6.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Plan, shardLengthFor } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import type { PlainFlow } from '../../test/support/replies.js';
import { SCANNER, TARGETS } from './network.js';

const PORT = 443 as ProbePort;
const SOURCE_PORTS = { from: 61000, to: 65096 };
const ranges = Ranges.of([parseRange(TARGETS)]);
const space = Space.ofIpv4(ranges, [PORT]);
export const replayedPlan = new Plan(space, '7', shardLengthFor(space.size, 1e6));
export const ORIGIN = { sources: [parseWords(SCANNER.address)], ports: SOURCE_PORTS };

/** The flow of the n-th probe that gets a reply. */
export function replayedFlow(n: number): PlainFlow {
  const { from } = parseRange(TARGETS);
  return {
    source: parseWords(SCANNER.address),
    sourcePort: SOURCE_PORTS.from + (n % 4096),
    address: mappedWords(from + n * 61),
    port: PORT,
  };
}
