/** The import direction of ARCHITECTURE.md, as rules. Each forbids what the page forbids. */
const leaf = (folder, parts, above = {}) =>
  parts.map((part) => ({
    name: `${folder}-${part}-imports-no-sibling`,
    comment: 'Parts import shared and their own folder; coordinator.ts and agent.ts wire them.',
    severity: 'error',
    from: { path: `^${folder}/${part}/` },
    to: {
      path: `^${folder}/`,
      pathNot: [part, ...(above[part] ?? [])]
        .map((own) => `^${folder}/${own}/`)
        .concat(`^${folder}/interfaces\\.ts$`, `^${folder}/system/`),
    },
  }));

/** `folder` may import, of shared, only what is to its left, and itself. */
const layer = (folder, allowed) => ({
  name: `shared-${folder}-imports-left`,
  comment:
    'base ← net ← packet ← probe ← survey ← bus; base ← permutation ← survey; base ← telemetry',
  severity: 'error',
  from: { path: `^shared/${folder}/` },
  to: { path: '^shared/', pathNot: `^shared/(${[...allowed, folder].join('|')})/` },
});

const only = (name, packages, home) => ({
  name: `${name}-has-one-home`,
  comment: `${packages} is imported in ${home} only`,
  severity: 'error',
  from: { path: '^(shared|coordinator|agent)/', pathNot: home },
  to: { path: `node_modules/(${packages})(/|$)` },
});

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    layer('base', []),
    layer('host', ['base']),
    layer('net', ['base']),
    layer('packet', ['base', 'net']),
    layer('simd', ['base']),
    layer('permutation', ['base', 'simd']),
    layer('probe', ['base', 'net', 'packet', 'simd']),
    layer('survey', ['base', 'net', 'packet', 'simd', 'permutation', 'probe']),
    layer('authorization', ['base', 'net', 'packet', 'simd', 'permutation', 'probe', 'survey']),
    layer('bus', ['base', 'net', 'packet', 'simd', 'permutation', 'probe', 'survey']),
    layer('telemetry', ['base']),
    layer('login', [
      'base',
      'host',
      'net',
      'packet',
      'simd',
      'permutation',
      'probe',
      'survey',
      'bus',
    ]),
    layer('command', ['base', 'host', 'net', 'packet', 'bus', 'login']),
    {
      name: 'shared-knows-no-program',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(coordinator|agent|test)/' },
    },
    {
      name: 'coordinator-not-agent',
      severity: 'error',
      from: { path: '^coordinator/' },
      to: { path: '^agent/' },
    },
    {
      name: 'agent-not-coordinator',
      severity: 'error',
      from: { path: '^agent/' },
      to: { path: '^coordinator/' },
    },
    ...leaf(
      'agent',
      [
        'system',
        'policy',
        'lease',
        'send',
        'direct',
        'egress',
        'transmit',
        'capture',
        'replies',
        'canary',
      ],
      { send: ['egress'], direct: ['egress', 'send'], canary: ['capture', 'transmit'] },
    ),
    ...leaf(
      'coordinator',
      [
        'admission',
        'auth',
        'plan',
        'leases',
        'cross-checks',
        'agents',
        'evidence',
        'storage',
        'replication',
        'sink',
      ],
      {
        evidence: ['storage', 'sink'],
        storage: ['sink'],
        leases: ['storage'],
        'cross-checks': ['leases', 'storage'],
        agents: ['leases'],
      },
    ),
    {
      name: 'coordinator-imports-no-cli',
      severity: 'error',
      from: { path: '^coordinator/', pathNot: '^coordinator/cli/' },
      to: { path: '^coordinator/cli/' },
    },
    only('nats', '@nats-io', '^shared/bus/nats/'),
    only('protobufjs', 'protobufjs', '^shared/bus/(codec|gen/)'),
    only('logging', 'pino|prom-client|fastify', '^shared/telemetry/'),
    only('system-calls', 'koffi|pcap', '^agent/(system|capture)/'),
    only('commander', 'commander', '^(shared/command/|coordinator/cli/)'),
    {
      name: 'generated-code-has-one-reader',
      severity: 'error',
      from: { pathNot: '^shared/bus/(messages|agent-messages|control-messages|batch-codec|gen/)' },
      to: { path: '^shared/bus/gen/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.d.ts'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
    },
  },
};
