import { request } from 'node:http';
import { ConvexHttpClient } from 'convex/browser';
import { expect, test } from 'vitest';
import { folderOf, query, startEngine } from '#local/convex/testing/engines.ts';

/** The address of a path of the fixture's HTTP actions. */
async function site(): Promise<(path: string) => string> {
  const { siteUrl } = await startEngine();
  return (path) => `${siteUrl}${path}`;
}

test('an action is found by path or longest prefix, and by method; HEAD goes to GET', async () => {
  const at = await site();
  expect(await (await fetch(at('/files/a/b?c=d'))).text()).toBe('any: /files/a/b');
  const deep = await fetch(at('/files/deep/x'));
  expect(await deep.text()).toBe('deep');
  expect(deep.headers.get('x-made-by')).toBe('fixture');
  expect(deep.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  for (const [path, method] of [
    ['/files', 'GET'],
    ['/files/a', 'POST'],
    ['/nowhere', 'GET'],
  ]) {
    const answer = await fetch(at(path ?? ''), { method: method ?? '' });
    expect([answer.status, await answer.text()]).toEqual([404, 'No matching routes found']);
  }
  const head = await fetch(at('/files/a'), { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
});

test('an action calls mutations, sees headers and the address it was asked at, and sets the status', async () => {
  const at = await site();
  const increase = () => fetch(at('/increase'), { method: 'POST', body: JSON.stringify({ name: 'web' }) });
  expect(await (await increase()).json()).toEqual({ count: 1 });
  const second = await increase();
  expect([second.status, await second.json()]).toEqual([201, { count: 2 }]);
  const whoami = await fetch(at('/whoami?x=1'), {
    headers: { 'x-agent': 'me', authorization: 'Bearer of something else' },
  });
  expect(await whoami.json()).toEqual({ subject: null, url: at('/whoami?x=1'), agent: 'me' });
});

test('bodies stream both ways: the answer begins before the request has ended', async () => {
  const at = await site();
  const sent = request(at('/shout'), { method: 'PUT' });
  const chunks: string[] = [];
  const answered = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  sent.on('response', (answer) => {
    answer.on('data', (chunk: Buffer) => {
      chunks.push(chunk.toString());
      answered.resolve();
    });
    answer.on('end', ended.resolve);
  });
  sent.write('first ');
  await answered.promise;
  expect(chunks).toEqual(['FIRST ']);
  sent.end('second');
  await ended.promise;
  expect(chunks.join('')).toBe('FIRST SECOND');
});

test('an action goes on working while its body is read', async () => {
  const { url, siteUrl } = await startEngine();
  expect(await (await fetch(`${siteUrl}/count`)).text()).toBe('1\n2\n3\n');
  expect(await new ConvexHttpClient(url).query(query('counters:watch'), { name: 'streamed' })).toBe(3);
});

test('an action that throws answers 500 with what it threw; one that breaks off breaks the connection', async () => {
  const at = await site();
  const answer = await fetch(at('/throws'));
  expect([answer.status, await answer.json()]).toEqual([
    500,
    { code: 'Server Error', trace: 'Uncaught Error: on purpose' },
  ]);
  await expect(fetch(at('/breaks')).then((broken) => broken.text())).rejects.toThrow();
  expect(await (await fetch(at('/files/on'))).text()).toBe('any: /files/on');
});

test('a request has at most 20 MiB', async () => {
  const at = await site();
  const most = 20 * 1024 * 1024;
  const length = (size: number) => fetch(at('/length'), { method: 'POST', body: Buffer.alloc(size) });
  expect(await (await length(most)).text()).toBe(String(most));
  expect((await length(most + 1)).status).toBe(413);
  const unsaid = new ReadableStream({
    start(out) {
      for (let at = 0; at < 21; at++) out.enqueue(new Uint8Array(1024 * 1024));
      out.close();
    },
  });
  const streamed = await fetch(at('/length'), { method: 'POST', body: unsaid, duplex: 'half' } as RequestInit);
  expect([streamed.status, await streamed.json()]).toMatchObject([500, { trace: expect.stringContaining('20971520') }]);
});

test('functions know both addresses; without http.ts there is one', async () => {
  const { url, siteUrl } = await startEngine();
  const urls = await new ConvexHttpClient(url).query(query('notes/whoami:urls'), {});
  expect(urls).toEqual([url, siteUrl]);
  const functions = await folderOf({ 'a.ts': 'export const a = 1;' });
  expect((await startEngine({ functions })).siteUrl).toBeUndefined();
});
