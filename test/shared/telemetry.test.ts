import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { serveTelemetry } from '../../shared/telemetry/http.js';

const PORT = 29_418;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

describe('the HTTP server', () => {
  test('answers although thousands of clients have begun requests and do not finish them', async () => {
    const address = { host: '127.0.0.1', port: PORT };
    await using server = await serveTelemetry(address, () => {}, { problem: () => undefined });
    for (let i = 0; i < 3000; i++) {
      const socket = connect(PORT, '127.0.0.1', () =>
        socket.write('GET /metrics HTTP/1.1\r\nHost: x'),
      );
      socket.on('error', () => {}); // refused: the limit is reached
      sockets.push(socket);
    }
    // Retries as a monitor would; meanwhile, clients that do not finish their requests are disconnected.
    let status = 0;
    for (let i = 0; i < 60 && status !== 200; i++) {
      status = await fetch(`http://127.0.0.1:${PORT}/healthz`).then(
        (response) => response.status,
        () => 0,
      );
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(status).toBe(200);
    const open = await new Promise<number>((resolve) => {
      server.server.getConnections((_error, count) => resolve(count));
    });
    expect(open).toBeLessThan(300);
  }, 60_000);

  test('refuses oversized headers and bodies', async () => {
    const address = { host: '127.0.0.1', port: PORT + 1 };
    await using _server = await serveTelemetry(address, () => {}, { problem: () => 'ill' });
    const url = `http://127.0.0.1:${PORT + 1}/healthz`;
    expect((await fetch(url)).status).toBe(503);
    const headers = { 'x-long': 'x'.repeat(64 * 1024) };
    expect((await fetch(url, { headers })).status).toBe(431);
    const body = 'x'.repeat(1024 * 1024);
    expect((await fetch(url, { method: 'POST', body })).status).toBeGreaterThanOrEqual(400);
  });
});
