import { ConvexHttpClient } from 'convex/browser';
import { expect, test } from 'vitest';
import { mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';

const engine = sharedEngine({ FIXTURE_SETTING: 'given' });
const connect = () => new ConvexHttpClient(engine.url);

test('mutations over HTTP run one after another: none is lost', async () => {
  const clients = Array.from({ length: 8 }, connect);
  const counts = await Promise.all(
    clients.flatMap((client) =>
      Array.from({ length: 10 }, () =>
        client.mutation(mutation('counters:increase'), { name: 'raced' }, { skipQueue: true }),
      ),
    ),
  );
  expect(counts.sort((one, other) => one - other)).toEqual(Array.from({ length: 80 }, (_, at) => at + 1));
});

test('plain HTTP is answered: run by path, version, timestamps, a page for people, CORS', async () => {
  const run = await fetch(`${engine.url}/api/run/notes/whoami/setting`, { method: 'POST', body: '{"args":{}}' });
  expect(await run.json()).toMatchObject({ status: 'success', value: 'given' });
  expect(await (await fetch(`${engine.url}/version`)).text()).toMatch(/^\d+\.\d+\.\d+$/);
  expect(await (await fetch(`${engine.url}/api/query_ts`, { method: 'POST' })).json()).toEqual({
    ts: expect.stringMatching(/^.{11}=$/),
  });
  expect(await connect().consistentQuery(query('notes/whoami:setting'), {})).toBe('given');
  expect((await fetch(engine.url)).status).toBe(200);
  const preflight = await fetch(`${engine.url}/api/query`, { method: 'OPTIONS' });
  expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
  expect((await fetch(`${engine.url}/nowhere`)).status).toBe(404);
});

test.each(['{', '[]', 'null', '{"args":{}}'])('a body of %s is a bad request', async (body) => {
  const answer = await fetch(`${engine.url}/api/query`, { method: 'POST', body });
  expect(answer.status).toBe(400);
});
