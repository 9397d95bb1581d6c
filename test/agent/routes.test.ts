import { describe, expect, test } from 'vitest';
import { cutByRoutes, type Route } from '../../agent/wire/routes.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';

const ranges = (...texts: string[]) => Ranges.of(texts.map(parseRange));
const route = (to: string, device: string, gateway?: string): Route => ({
  to: ranges(to),
  length: Number(to.split('/')[1]),
  device,
  gateway,
  source: undefined,
});

const TABLE = [
  route('0.0.0.0/0', 'eth0', '100.64.0.1'),
  route('100.64.0.0/24', 'eth0'),
  route('198.18.0.0/16', 'eth1', '100.65.0.1'),
  route('127.0.0.0/8', 'lo'),
];

describe('cutting a space along routes', () => {
  test('gives each target to its most specific route', () => {
    const legs = cutByRoutes(ranges('100.64.0.0/23', '198.18.4.0/24', '127.0.0.1'), TABLE);
    const cut = legs.map(({ route: { device, gateway }, targets }) => [
      device,
      gateway,
      targets.size,
    ]);
    expect(cut).toHaveLength(4);
    expect(cut).toContainEqual(['eth0', undefined, 256]);
    expect(cut).toContainEqual(['eth0', '100.64.0.1', 256]);
    expect(cut).toContainEqual(['eth1', '100.65.0.1', 256]);
    expect(cut).toContainEqual(['lo', undefined, 1]);
  });

  test('names targets that no route leads to', () => {
    expect(() => cutByRoutes(ranges('198.18.0.0/15'), TABLE.slice(1))).toThrow(
      expect.objectContaining({ code: 'NO_ROUTE', details: { value: '198.19.0.0/16' } }),
    );
  });
});
