import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { expect, onTestFinished, test, vi } from 'vitest';
import { mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';

const engine = sharedEngine();

function connect() {
  const client = new ConvexClient(engine.url, { logger: false });
  onTestFinished(() => client.close());
  return client;
}

/** All results of a live query so far, and a way to wait for one. */
function watch(client: ConvexClient, name: string, args: Record<string, unknown>) {
  const results: unknown[] = [];
  const waiting = new Set<() => void>();
  client.onUpdate(query(name), args, (result) => {
    results.push(result);
    for (const check of waiting) check();
  });
  const until = (wanted: (result: unknown) => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (results.some(wanted)) {
          waiting.delete(check);
          resolve();
        }
      };
      waiting.add(check);
      check();
    });
  return { results, until };
}

test('watchers see each change, in order, whoever makes it', async () => {
  const name = 'watched';
  const [one, other] = [connect(), connect()];
  const [mine, theirs] = [watch(one, 'counters:watch', { name }), watch(other, 'counters:watch', { name })];
  await Promise.all([mine.until((count) => count === 0), theirs.until((count) => count === 0)]);
  expect(await one.mutation(mutation('counters:increase'), { name })).toBe(1);
  await new ConvexHttpClient(engine.url).mutation(mutation('counters:increase'), { name });
  await Promise.all([mine.until((count) => count === 2), theirs.until((count) => count === 2)]);
  expect(mine.results).toEqual([0, 1, 2]);
});

test('a client sees its own write as soon as its mutation resolves', async () => {
  const client = connect();
  const { results, until } = watch(client, 'messages:list', { channel: 'own' });
  await until(() => true);
  for (let at = 1; at <= 5; at++) {
    await client.mutation(mutation('messages:send'), { channel: 'own', body: `${at}` });
    expect(results.at(-1)).toHaveLength(at);
  }
});

test('a query runs again only when a write touches a range it read, and once for all who watch it', async () => {
  const http = new ConvexHttpClient(engine.url);
  const runs = () => http.query(query('counters:runsOfWatch'), {});
  const increase = (name: string) => http.mutation(mutation('counters:increase'), { name });
  await increase('mine');
  const clients = [connect(), connect(), connect()];
  const watches = clients.map((client) => watch(client, 'counters:watch', { name: 'mine' }));
  await Promise.all(watches.map(({ until }) => until((count) => count === 1)));
  const before = await runs();
  await increase('yours');
  await increase('zzz');
  await http.mutation(mutation('messages:send'), { channel: 'mine', body: 'another table' });
  // A write that does count comes last: once it has arrived, an earlier rerun would have been seen.
  await increase('mine');
  await Promise.all(watches.map(({ until }) => until((count) => count === 2)));
  expect(await runs()).toBe(before + 1);
});

test('a result that is the same again is not sent', async () => {
  const http = new ConvexHttpClient(engine.url);
  const ids = [];
  for (const rank of [1, 2, 3, 4]) {
    ids.push(await http.mutation(mutation('messages:send'), { channel: 'same', body: `${rank}`, rank }));
  }
  const client = connect();
  const { results, until } = watch(client, 'messages:ranked', { channel: 'same', above: 0, order: 'asc' });
  await until(() => true);
  // Inside the range it read, but the first three bodies stay as they are.
  await http.mutation(mutation('messages:replace'), { id: ids[3], channel: 'same', body: 'unranked' });
  const { _id } = (await http.query(query('messages:get'), { id: ids[2] })) as { _id: string };
  await http.mutation(mutation('messages:sendRanked'), { channel: 'same', body: '3', rank: 3, instead: _id });
  await http.mutation(mutation('messages:send'), { channel: 'same', body: 'first', rank: 0.5 });
  await until((bodies) => (bodies as string[])[0] === 'first');
  expect(results).toEqual([
    ['1', '2', '3'],
    ['first', '1', '2'],
  ]);
});

test('a commit that falls into a run makes it run again', async () => {
  const names = { first: 'gated-1', second: 'gated-2' };
  const http = new ConvexHttpClient(engine.url);
  const { results, until } = watch(connect(), 'counters:watchThroughGate', names);
  await vi.waitFor(async () => expect(await http.query(query('counters:isAtGate'), {})).toBe(true));
  await http.mutation(mutation('counters:increaseBoth'), names);
  await http.query(query('counters:openGate'), {});
  await until((counts) => (counts as number[])[1] === 1);
  // The first run saw the state from before the commit, whole; nobody ever saw half of it.
  expect(results).toEqual([
    [0, 0],
    [1, 1],
  ]);
});

test('a mutation that changes nothing its client watches resolves', async () => {
  const client = connect();
  expect(await client.mutation(mutation('counters:increase'), { name: 'unwatched' })).toBe(1);
  expect(await client.mutation(mutation('counters:increase'), { name: 'unwatched' })).toBe(2);
});

test('a failing live query reports its error, and recovers', async () => {
  const client = connect();
  const failure = Promise.withResolvers<Error>();
  client.onUpdate(query('messages:throws'), {}, () => {}, failure.resolve);
  expect((await failure.promise).message).toContain('on purpose');
});

test('a mutation that fails is rejected over the websocket with its data', async () => {
  const client = connect();
  const refusal = await client.mutation(mutation('messages:sendAndThrow'), { channel: 'ws' }).catch((error) => error);
  expect(refusal.data).toEqual({ code: 'REFUSED', channel: 'ws' });
});

test('a removed query is forgotten, and watched anew it is fresh', async () => {
  const client = connect();
  const name = 'left';
  const first = watch(client, 'counters:watch', { name });
  await first.until((count) => count === 0);
  const stop = client.onUpdate(query('counters:watch'), { name }, () => {});
  stop();
  const again = connect();
  await client.mutation(mutation('counters:increase'), { name });
  const fresh = watch(again, 'counters:watch', { name });
  await fresh.until((count) => count === 1);
  expect(fresh.results).toEqual([1]);
});
