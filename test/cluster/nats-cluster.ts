/** Three nats-servers as one cluster, each in a container, with addresses that survive a restart. */
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';

const NETWORK = 'nats';
const SUBNET = '10.77.0.0/24';
export const IMAGE = {
  repo: 'local/nats',
  tag: 'debian',
  program: '/usr/sbin/nats-server',
} as const;
const ADDRESSES = { n1: '10.77.0.11', n2: '10.77.0.12', n3: '10.77.0.13' } as const;
export type Name = keyof typeof ADDRESSES;
export const NAMES = Object.keys(ADDRESSES) as Name[];
export const URL_OF_ALL = Object.values(ADDRESSES)
  .map((address) => `nats://${address}:4222`)
  .join(',');

const docker = async () => (await getContainerRuntimeClient()).container.dockerode;

/** Pings are frequent, so that a disconnected node is noticed within seconds. */
function configOf(name: Name): string {
  const routes = Object.values(ADDRESSES).map((address) => `nats://${address}:6222`);
  return `
    server_name: ${name}
    http: 8222
    ping_interval: "1s"
    ping_max: 2
    write_deadline: "2s"
    jetstream { store_dir: /data }
    cluster { name: lab, listen: "0.0.0.0:6222", routes: [${routes.join(', ')}] }`;
}

class NatsServer extends GenericContainer {
  constructor(name: Name) {
    super(`${IMAGE.repo}:${IMAGE.tag}`);
    this.withName(name)
      .withNetworkMode(NETWORK)
      .withCommand(['-c', '/nats.conf'])
      .withCopyContentToContainer([{ target: '/nats.conf', content: configOf(name) }])
      .withWaitStrategy(Wait.forLogMessage(/Server is ready/));
    this.createOpts.NetworkingConfig = {
      EndpointsConfig: { [NETWORK]: { IPAMConfig: { IPv4Address: ADDRESSES[name] } } },
    };
  }
}

export async function startCluster(): Promise<void> {
  const IPAM = { Driver: 'default', Config: [{ Subnet: SUBNET }] };
  await (await docker()).createNetwork({ Name: NETWORK, Driver: 'bridge', IPAM });
  await Promise.all(NAMES.map((name) => new NatsServer(name).start()));
}

/** Kills a node with SIGKILL; its stored data is kept. */
export async function kill(name: Name): Promise<void> {
  await (await docker()).getContainer(name).kill();
}

export async function start(name: Name): Promise<void> {
  await (await docker()).getContainer(name).start();
}

export async function cutOff(name: Name): Promise<void> {
  await (await docker()).getNetwork(NETWORK).disconnect({ Container: name });
}

export async function rejoin(name: Name): Promise<void> {
  const EndpointConfig = { IPAMConfig: { IPv4Address: ADDRESSES[name] } };
  await (await docker()).getNetwork(NETWORK).connect({ Container: name, EndpointConfig });
}

/** Number of replicas of each of our streams, as one member of the cluster reports it. */
export async function copiesSeenBy(name: Name): Promise<Record<string, number>> {
  const url = `http://${ADDRESSES[name]}:8222/jsz?streams=true&config=true`;
  const answer = (await (await fetch(url)).json()) as {
    account_details: {
      stream_detail: { name: string; config: { num_replicas: number } }[];
    }[];
  };
  const streams = answer.account_details.flatMap(({ stream_detail }) => stream_detail);
  return Object.fromEntries(streams.map((each) => [each.name, each.config.num_replicas]));
}

/** The cluster's leader, as one of its members reports it. */
export async function leaderSeenBy(name: Name): Promise<Name | undefined> {
  const url = `http://${ADDRESSES[name]}:8222/jsz`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(500) });
  const { meta_cluster } = (await answer.json()) as { meta_cluster?: { leader?: Name } };
  return meta_cluster?.leader;
}
