/**
 * The comparison with zmap, masscan and trafgen, and other benchmarks that need a network: prints tables and
 * writes them into `benchmarks/README.md` of the given repository. Takes about fifteen minutes.
 *     node main.js REPOSITORY
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableOf } from '../harness.js';
import { compareAccuracy } from './accuracy.js';
import { ip, makeNetwork, removeNetwork, startWithin, stop, TARGET } from './network.js';
import { measurePacing } from './pacing.js';
import { measureInternet, measureReceiving } from './receiving.js';
import { compareSending } from './sending.js';

const [repository = '.'] = process.argv.slice(2);
const README = join(repository, 'benchmarks', 'README.md');
const FROM = '<!-- bench:peers -->';
const TO = '<!-- /bench:peers -->';
const ROUNDS = 5;
/** dpkg-query's format, not a JavaScript template */
const VERSION = ['$', '{Package} ', '$', '{Version}'].join('');
const ACCURACY_RUNS = 10;

process.on('exit', removeNetwork);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
makeNetwork();

const tables: string[] = [];
const table = (title: string, rounds: string, rows: readonly Record<string, string>[]) => {
  const text = tableOf(title, rounds, rows);
  process.stderr.write('\n');
  console.log(text);
  tables.push(text);
};

const versions = ['zmap', 'masscan', 'netsniff-ng']
  .map((name) => execFileSync('dpkg-query', ['-W', '-f', VERSION, name], { encoding: 'utf8' }))
  .join(', ');
table('Sending', `medians of ${ROUNDS} rounds; ${versions}`, await compareSending(ROUNDS));
table('Keeping a rate (af-xdp)', 'three seconds each', await measurePacing());
table('Receiving', 'each round', await measureReceiving(ROUNDS));
table('The simulated Internet of the lab', 'five seconds each', await measureInternet());

const listener = startWithin(
  ...([TARGET.namespace, process.execPath] as const),
  ...[join(repository, 'test/support/listener.mjs'), '8080'],
);
await new Promise((resolve) => listener.stdout?.once('data', resolve));
const [link] = JSON.parse(ip('-n', TARGET.namespace, '-json', 'link', 'show', 'dev', 'eth0'));
const { rows } = await compareAccuracy(ACCURACY_RUNS, ROUNDS, link.address);
await stop(listener);
table('A real kernel’s /16, every address listening on one of two ports', 'alternating', rows);

const readme = readFileSync(README, 'utf8');
const before = readme.slice(0, readme.indexOf(FROM) + FROM.length);
const after = readme.slice(readme.indexOf(TO));
writeFileSync(README, `${before}\n${tables.join('\n')}\n${after}`);
process.exit(0);
