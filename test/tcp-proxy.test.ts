import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { until } from './until.ts';

const SOON = { within: 5_000 };

let server: Server;
let proxy: TcpProxy;
/** Requests that the server has read to their end. */
let acted: string[];

beforeEach(async () => {
  acted = [];
  server = createServer(async (request, response) => {
    const body = await text(request).catch(() => undefined);
    if (body === undefined) return;
    acted.push(`${request.method} ${body.length}`);
    response.end('answer');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await openTcpProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  server.close();
});

const ask = (body = 'x') => fetch(`http://127.0.0.1:${proxy.port}/`, { method: 'POST', body });
const code = (asked: Promise<unknown>) => asked.catch((error) => error.cause.code);

it('passes bytes both ways and counts them', async () => {
  const body = 'x'.repeat(1_000_000);
  expect(await (await ask(body)).text()).toBe('answer');
  expect(acted).toEqual(['POST 1000000']);
  expect(proxy.tally).toMatchObject({ connections: 1, lostAnswers: [] });
  expect(proxy.tally.toServer).toBeGreaterThan(1_000_000);
  expect(proxy.inFlight()).toEqual([]);
});

it('refuses while it is cut', async () => {
  await proxy.cut();
  expect(await code(ask())).toBe('ECONNREFUSED');
  await proxy.mend();
  expect((await ask()).status).toBe(200);
});

it('holds everything back while it is stalled, and loses nothing of it', async () => {
  await (await ask()).text();
  proxy.stall();
  const asked = ask();
  const other = connect(proxy.port, '127.0.0.1');
  await once(other, 'connect');
  expect(acted).toEqual(['POST 1']);
  await proxy.mend();
  expect((await asked).status).toBe(200);
  expect(acted).toEqual(['POST 1', 'POST 1']);
  other.destroy();
});

it('resets what is open, and nothing after it', async () => {
  const socket = connect(proxy.port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf');
  await until(() => proxy.inFlight().length === 1, { ...SOON, what: 'the request to be under way' });
  expect(proxy.inFlight()[0]?.head).toContain('POST / HTTP/1.1\r\n');
  proxy.reset();
  const [error] = await once(socket, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
  expect(proxy.inFlight()).toEqual([]);
  expect((await ask()).status).toBe(200);
});

it('loses the answers it is told to after the server acted', async () => {
  proxy.dropAnswers((head) => head.startsWith('POST'));
  expect(await code(ask())).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
  expect(acted).toEqual(['POST 1']);
  expect(proxy.tally.lostAnswers).toEqual([expect.stringContaining('POST / HTTP/1.1\r\n')]);
  expect((await fetch(`http://127.0.0.1:${proxy.port}/`)).status).toBe(200);
  await proxy.mend();
  expect((await ask()).status).toBe(200);
});
