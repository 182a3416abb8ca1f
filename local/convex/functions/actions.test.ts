import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { ConvexError } from 'convex/values';
import { expect, onTestFinished, test } from 'vitest';
import { action, mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';

const KEY = 'the key of this test';
const engine = sharedEngine({ CONVEX_ADMIN_KEY: KEY });
const HASH_OF_ADA = /^[0-9a-f]{64}$/;

/** A client of an admin who acts as Ada. */
function adasClient(): ConvexHttpClient {
  const client = new ConvexHttpClient(engine.url, { logger: false });
  const identity = { issuer: 'https://issuer.example', subject: 'ada' };
  (client as unknown as { setAdminAuth(key: string, identity: object): void }).setAdminAuth(KEY, identity);
  return client;
}

test('an action in a "use node" file calls every kind of function and the network, as who called it', async () => {
  const args = { name: 'all', url: `${engine.url}/version` };
  expect(await adasClient().action(action('actions:callAll'), args)).toEqual({
    increased: 1,
    watched: 1,
    hashed: expect.stringMatching(HASH_OF_ADA),
    fetched: 200,
    subject: 'ada',
    passedOn: 'ada',
  });
});

test('over the websocket too, side by side with others', async () => {
  const client = new ConvexClient(engine.url, { logger: false });
  onTestFinished(() => client.close());
  const args = { name: 'socket', url: `${engine.url}/version` };
  const answers = await Promise.all([1, 2, 3].map(() => client.action(action('actions:callAll'), args)));
  const counts = answers.map(({ increased }: { increased: number }) => increased);
  expect(counts.sort()).toEqual([1, 2, 3]);
  expect(answers[0].subject).toBeNull();
});

test('an internal action is closed to all but functions and admins', async () => {
  const call = (client: ConvexHttpClient) => client.action(action('actions:hash'), { text: 'x' });
  await expect(call(new ConvexHttpClient(engine.url))).rejects.toThrow('Could not find public function');
  expect(await call(adasClient())).toMatch(HASH_OF_ADA);
});

test('what an action did before it failed stays, what a refused mutation wrote does not', async () => {
  const client = new ConvexHttpClient(engine.url, { logger: false });
  const failure = await client.action(action('actions:callAndFail'), { name: 'half' }).catch((error) => error);
  expect(failure).toBeInstanceOf(ConvexError);
  expect(failure.data).toEqual({ after: 'REFUSED' });
  expect(await client.query(query('counters:watch'), { name: 'half' })).toBe(1);
  expect(await client.query(query('messages:list'), { channel: 'half' })).toEqual([]);
});

test('actions may compute for more than a second; others go on after them', { timeout: 120_000 }, async () => {
  const client = new ConvexHttpClient(engine.url, { logger: false });
  expect(await client.action(action('actions:compute'), {})).toBe(0);
  expect(await client.mutation(mutation('counters:increase'), { name: 'after' })).toBe(1);
});
