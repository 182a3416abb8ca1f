import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';
import { authorization, body, frame, route } from '#local/convex/testing/nonsense.ts';
import { until } from '#test/until.ts';

/** fast-check prints seed and path of what fails; put them here to see it again. */
const runs = (numRuns: number) => ({ numRuns, seed: 20_260_401, endOnFailure: true });

const engine = sharedEngine({ CONVEX_ADMIN_KEY: 'key' });

/** Sockets the engine has open: a session that was not let go of would hold one. */
async function sockets(): Promise<number> {
  const folder = `/proc/${engine.pid}/fd`;
  const targets = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')));
  return targets.filter((target) => target.startsWith('socket:')).length;
}

/** A good client is served as ever, and nothing of the bad ones is left. */
async function expectUnharmed(before: number): Promise<void> {
  const client = new ConvexClient(engine.url, { logger: false });
  const name = 'unharmed';
  const http = new ConvexHttpClient(engine.url);
  const last = await http.query(query('counters:watch'), { name });
  const seen: number[] = [];
  client.onUpdate(query('counters:watch'), { name }, (count: number) => seen.push(count));
  expect(await client.mutation(mutation('counters:increase'), { name })).toBe(last + 1);
  expect(seen.at(-1)).toBe(last + 1);
  await client.close();
  await until(async () => (await sockets()) <= before, { within: 20_000, what: 'the sockets of bad clients to go' });
  // Nobody watches any more, so a change makes no query run.
  const ran = await http.query(query('counters:runsOfWatch'), {});
  await http.mutation(mutation('counters:increase'), { name });
  expect(await http.query(query('counters:runsOfWatch'), {})).toBe(ran);
}

const CONNECT = '{"type":"Connect","sessionId":"fuzzed","connectionCount":0,"lastCloseReason":null,"clientTs":0}';
/** Codes of a websocket that was refused: protocol, data, encoding, or politely after an AuthError. */
const CLOSED = [1000, 1002, 1007];

test('frames that mean nothing end in a FatalError or an AuthError and a close, and harm nobody else', async () => {
  const before = await sockets();
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 6 }), fc.boolean(), async (frames, introduced) => {
      const socket = new WebSocket(`${engine.url.replace('http', 'ws')}/api/1.48.0/sync`);
      const heard: { type: string; error?: string }[] = [];
      socket.on('message', (text) => heard.push(JSON.parse(text.toString())));
      socket.on('error', () => {});
      await once(socket, 'open');
      if (introduced) socket.send(CONNECT);
      for (const one of frames) socket.send(one);
      // The last one is wrong in any state.
      socket.send('{"type":"ModifyQuerySet"}');
      const [code] = await once(socket, 'close');
      expect(CLOSED).toContain(code);
      const last = heard.at(-1);
      if (code !== 1007) expect(['FatalError', 'AuthError']).toContain(last?.type);
      if (code !== 1007) expect(last?.error?.length).toBeGreaterThan(10);
    }),
    runs(250),
  );
  await expectUnharmed(before);
});

test('bytes that are no websocket and no request, or only a part of one, harm nobody else', async () => {
  const before = await sockets();
  const upgrade =
    'GET /api/1.48.0/sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  const opening = fc.constantFrom(
    upgrade,
    upgrade.replace('13', '12'),
    upgrade.replace('/sync', '/other'),
    upgrade.replace('Sec-WebSocket-Key', 'Other'),
    'POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"path":',
    'POST /api/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
    'POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'PUT /shout HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\nhalf of it',
    'PUT /shout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n',
    'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET http://other/version HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01',
    '',
  );
  const how = fc.constantFrom('reset', 'end');
  await fc.assert(
    fc.asyncProperty(opening, fc.uint8Array({ maxLength: 60 }), how, fc.boolean(), async (text, bytes, way, site) => {
      const { hostname, port } = new URL((site ? engine.siteUrl : undefined) ?? engine.url);
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write(text);
      socket.write(bytes);
      await new Promise((resolve) => setImmediate(resolve));
      if (way === 'reset') socket.resetAndDestroy();
      else socket.destroySoon();
      if (!socket.closed) await once(socket, 'close');
    }),
    runs(150),
  );
  await expectUnharmed(before);
});

/** Answered, refused as bad, unknown, unauthorized or too large, or failed in the function. */
const ANSWERS = [200, 204, 400, 401, 403, 404, 405, 413, 560];

test('requests that mean nothing are answered with what is wrong, on every route', async () => {
  const before = await sockets();
  const method = fc.oneof(
    { weight: 5, arbitrary: fc.constant('POST') },
    fc.constantFrom('GET', 'PUT', 'DELETE', 'OPTIONS'),
  );
  await fc.assert(
    fc.asyncProperty(method, route, body, authorization, async (verb, name, sent, credentials) => {
      const answer = await fetch(`${engine.url}/api/${name}`, {
        method: verb,
        headers: { connection: 'close', ...(credentials === undefined ? {} : { authorization: credentials }) },
        ...(verb === 'GET' ? {} : { body: sent }),
      });
      const text = await answer.text();
      expect(ANSWERS).toContain(answer.status);
      if (answer.status === 560) expect(JSON.parse(text)).toMatchObject({ status: 'error' });
      else if (answer.status >= 400) expect(JSON.parse(text).message.length).toBeGreaterThan(10);
    }),
    runs(400),
  );
  await expectUnharmed(before);
});

test('requests that mean nothing to HTTP actions are answered, too', async () => {
  const before = await sockets();
  const target = fc.oneof(fc.constantFrom('/increase', '/shout', '/whoami', '/files/%2', '/__proto__'), fc.webPath());
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('POST', 'PUT', 'DELETE'),
      target,
      body,
      authorization,
      async (verb, at, sent, who) => {
        const answer = await fetch(`${engine.siteUrl}${at}`, {
          method: verb,
          headers: { connection: 'close', ...(who === undefined ? {} : { authorization: who }) },
          body: sent,
        });
        await answer.text();
        // A body that is not what the action parses makes the action fail, which Convex answers with 500.
        expect([200, 201, 400, 404, 500]).toContain(answer.status);
      },
    ),
    runs(150),
  );
  await expectUnharmed(before);
});

test('a body that is too long is answered with 413, not broken off', async () => {
  const answer = await fetch(`${engine.url}/api/query`, { method: 'POST', body: 'x'.repeat(18 * 1024 * 1024) });
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ code: 'TooLarge' });
});
