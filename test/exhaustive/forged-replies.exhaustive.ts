/** Ten million forged replies for each probe, IP version and kind of reply; `npm run test:exhaustive`. */
import { expect, test } from 'vitest';
import { mappedWords, parseWords } from '../../shared/net/ipv6.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import { parseOptions } from '../../shared/probe/probe-options.js';
import { PROBES } from '../../shared/probe/probe-registry.js';
import { forgeriesAccepted, forgeriesAllowed, SOURCE_PORTS } from '../support/forged-replies.js';
import { hostReplyTo } from '../support/reference-host.js';
import { errorTo, KEY, probeOf, read } from '../support/replies.js';

const FORGED = 10_000_000;
const MINUTES = 60_000;
const ADDRESSES = {
  4: { source: mappedWords(0x64400001), address: mappedWords(0xc6120203) },
  6: { source: parseWords('2001:db8::1'), address: parseWords('2001:db8:42::7') },
} as const;

const CASES = PROBES.flatMap((probe) =>
  probe.kind === 'packet' ? probe.families.map((family) => ({ probe, family })) : [],
).map((found) => ({ ...found, name: found.probe.name }));

test.each(CASES)(
  '$name over IPv$family accepts as many of 10^7 forged replies of each kind as its cookie allows',
  { timeout: 10 * MINUTES },
  ({ probe, family }) => {
    const port = probe.hasPorts ? 53 : 0;
    const sent = probeOf(
      { ...ADDRESSES[family], sourcePort: 61000, port },
      KEY,
      {},
      probe,
      SOURCE_PORTS,
    );
    const parsed = parseOptions(probe, {});
    const options = probe.optionsForPort?.(port, parsed) ?? parsed;
    const reader = probe.replies({ options, ports: SOURCE_PORTS, targetPorts: [] });
    const cookies = new CookieMac(probeKey(KEY, 0));
    for (const packet of [hostReplyTo(sent, 'open'), hostReplyTo(sent, 'closed'), errorTo(sent)]) {
      if (packet === undefined || !reader.validate(read(packet), cookies)) continue;
      const allowed = forgeriesAllowed(probe, read(packet).isError, FORGED);
      expect(forgeriesAccepted(probe, reader, cookies, packet, FORGED)).toBeLessThanOrEqual(
        allowed,
      );
    }
  },
);
