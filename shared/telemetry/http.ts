/** Serves `/metrics` for Prometheus and `/healthz` for supervisors, on coordinator and agents. */
import type { FastifyInstance } from 'fastify';
import { describeError, Fault } from '../base/faults.js';
import type { Metrics } from './prometheus.js';

const LOOPBACK = '127.0.0.1';
/** Bounds of incomplete requests and idle connections. */
const REQUEST_MILLIS = 5000;
const CONNECTION_MILLIS = 30_000;
const CONNECTIONS_MAX = 64;
const HEADER_OCTETS = 8192;
const BODY_OCTETS = 1024;

export interface HttpAddress {
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
}

export interface HealthCheck {
  /** One sentence about the problem, or undefined if there is none. */
  problem(): string | undefined;
}

/** Reads `127.0.0.1:9100`, `[::1]:9100` or `:9100`, which is loopback. @throws Fault BAD_OPTION */
export function parseHttpAddress(text: string): HttpAddress {
  const match = /^(?:\[([0-9a-f:]+)\]|([^:[\]]*)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    const reason = 'an HTTP address is host:port, such as 127.0.0.1:9100';
    throw new Fault('BAD_OPTION', reason, { value: text });
  }
  return { host: match[1] ?? (match[2] || LOOPBACK), port };
}

/**
 * Serves until closed.
 * @param declare declares the metrics
 * @throws Fault BAD_OPTION if the address cannot be used
 */
export async function serveTelemetry(
  address: HttpAddress,
  declare: (metrics: Metrics) => void,
  health: HealthCheck,
): Promise<FastifyInstance> {
  // Loaded only here, because most commands serve nothing.
  const { default: fastify } = await import('fastify');
  const prometheus = await import('./prometheus.js');
  const metrics = new prometheus.Metrics();
  declare(metrics);
  const server = fastify({
    connectionTimeout: CONNECTION_MILLIS,
    requestTimeout: REQUEST_MILLIS,
    keepAliveTimeout: CONNECTION_MILLIS,
    bodyLimit: BODY_OCTETS,
    http: {
      maxHeaderSize: HEADER_OCTETS,
      headersTimeout: REQUEST_MILLIS,
      connectionsCheckingInterval: REQUEST_MILLIS,
    },
  });
  server.server.maxConnections = CONNECTIONS_MAX;
  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await metrics.expose();
    return reply.type(contentType).send(text);
  });
  server.get('/healthz', async (_request, reply) => {
    const problem = health.problem();
    return reply
      .code(problem === undefined ? 200 : 503)
      .send({ ok: problem === undefined, problem });
  });
  try {
    await server.listen(address);
  } catch (cause) {
    const details = { flag: '--http', value: `${address.host}:${address.port}` };
    throw new Fault('BAD_OPTION', `cannot listen: ${describeError(cause)}`, details, cause);
  }
  return server;
}
