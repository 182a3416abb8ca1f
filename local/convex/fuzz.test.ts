import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '#test/until.ts';
import { mutation, query, sharedEngine } from './testing.ts';

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

const deep = fc
  .tuple(fc.constantFrom(10, 63, 65, 200, 20_000), fc.constantFrom(['[', ']'], ['{"a":', '}']))
  .map(([levels, [open, close]]) => `${open?.repeat(levels)}1${close?.repeat(levels)}`);
const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom('__proto__', 'constructor', -1, 1.5, 2 ** 32, 2 ** 53, 1e308, null, '', '\0', '\ud800', [], {}),
  fc.constantFrom({ $integer: 'x' }, { $bytes: 5 }, { $float: '' }, { $undefined: 1 }, { $integer: '', b: 1 }),
  fc.constantFrom('a'.repeat(70_000), 'é:x', 'counters:watch', 'messages:purge', '_generated/server:query'),
);
const strangeObject = fc
  .dictionary(fc.constantFrom('name', '__proto__', 'constructor', 'toString', '$a', '_b', ''), strange)
  .map((object) => JSON.parse(JSON.stringify(object).replace(/"constructor":/, '"__proto__":')));
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('counters:watch', 'counters:increase', 'sizes:watch', 'values:put') },
  fc.constantFrom(
    '',
    ':',
    '::',
    'a:b:c',
    '__proto__:x',
    'constructor',
    '../schema:default',
    'values',
    'x'.repeat(9_999),
  ),
);
const args = fc.oneof(fc.constant([{ name: 'fuzzed' }]), fc.array(strangeObject, { maxLength: 2 }), strange);

const version = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(2), strange);
const modification = fc.oneof(
  fc.record(
    { type: fc.constant('Add'), queryId: version, udfPath: path, args, journal: strange },
    { requiredKeys: [] },
  ),
  fc.record({ type: fc.constantFrom('Remove', 'Add', 'Change'), queryId: version }),
);
const message = fc.oneof(
  fc.record({
    type: fc.constant('ModifyQuerySet'),
    baseVersion: version,
    newVersion: fc.oneof(fc.constant(1), version),
    modifications: fc.oneof({ weight: 5, arbitrary: fc.array(modification, { maxLength: 3 }) }, strange),
  }),
  fc.record(
    {
      type: fc.constant('Authenticate'),
      tokenType: fc.oneof(fc.constantFrom('User', 'Admin', 'None'), strange),
      value: fc.oneof(fc.constantFrom('key', 'a.b.c', 'eyJhbGciOiJub25lIn0.e30.'), strange),
      baseVersion: version,
      impersonating: fc.oneof(strangeObject, strange),
    },
    { requiredKeys: ['type', 'tokenType', 'baseVersion'] },
  ),
  fc.record({ type: fc.constantFrom('Mutation', 'Action'), requestId: version, udfPath: path, args }),
  fc.record({ type: fc.constantFrom('Connect', 'Event', 'Transition', '__proto__'), sessionId: strange }),
);
const frame: fc.Arbitrary<Buffer | string> = fc.oneof(
  { weight: 8, arbitrary: message.map((one) => JSON.stringify(one)) },
  fc.tuple(message, fc.nat(300)).map(([one, length]) => JSON.stringify(one).slice(0, length)),
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  deep,
  deep.map((value) => `{"type":"Mutation","requestId":1,"udfPath":"values:put","args":[{"values":[${value}]}]}`),
  fc.constantFrom('', 'null', '[]', '\ufeff{}', '{"type":"Connect","sessionId":"other"}'),
);
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
  const { hostname, port } = new URL(engine.url);
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
    'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET http://other/version HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01',
    '',
  );
  const how = fc.constantFrom('reset', 'end');
  await fc.assert(
    fc.asyncProperty(opening, fc.uint8Array({ maxLength: 60 }), how, async (text, bytes, way) => {
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

const route = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('query', 'mutation', 'action', 'function', 'query_at_ts', 'query_ts') },
  fc.constantFrom(
    'update_environment_variables',
    'run/counters/watch',
    'run/a%2/b',
    'run/%00/x',
    'run/x',
    'run/__proto__/x',
  ),
  fc.webPath().map((text) => text.slice(1)),
);
const body = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({ path, args, format: strange, ts: strange }, { requiredKeys: [] })
      .map((one) => JSON.stringify(one)),
  },
  fc
    .record({ changes: fc.oneof(fc.array(fc.record({ name: strange, value: strange })), strange) })
    .map((one) => JSON.stringify(one)),
  fc.json(),
  deep,
  deep.map((value) => `{"path":"values:put","args":{"values":[${value}]}}`),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
const authorization = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(undefined, 'Convex key') },
  fc.constantFrom(
    'Bearer',
    'Bearer a.b.c',
    'Convex',
    'Convex other',
    'Basic eDp5',
    'Convex key:bnVsbA==',
    'Convex key:W10=',
  ),
  fc.string({ unit: 'grapheme-ascii' }).map((text) => `Convex key:${text.trim()}`),
);
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

test('a body that is too long is answered with 413, not broken off', async () => {
  const answer = await fetch(`${engine.url}/api/query`, { method: 'POST', body: 'x'.repeat(18 * 1024 * 1024) });
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ code: 'TooLarge' });
});
