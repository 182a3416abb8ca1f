import { ConvexHttpClient } from 'convex/browser';
import { expect, test } from 'vitest';
import { mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';
import { History } from './history.ts';
import { Overlay } from './overlay.ts';
import type { Reader } from './storage.ts';
import { encodeTimestamp } from './timestamp.ts';

const engine = sharedEngine();
const connect = () => new ConvexHttpClient(engine.url, { logger: false });
const send = (channel: string, body: string, rank?: number) =>
  connect().mutation(mutation('messages:send'), { channel, body, ...(rank === undefined ? {} : { rank }) });
const bodies = (messages: { body: string }[]) => messages.map(({ body }) => body);

test('consistent queries see one state, whatever is inserted, changed or removed after', async () => {
  const first = await send('past', 'one');
  await send('past', 'two');
  const past = connect();
  const list = () => past.consistentQuery(query('messages:list'), { channel: 'past' });
  expect(bodies(await list())).toEqual(['one', 'two']);
  await send('past', 'three');
  await connect().mutation(mutation('messages:edit'), { id: first, body: 'edited' });
  expect(bodies(await list())).toEqual(['one', 'two']);
  await connect().mutation(mutation('messages:remove'), { id: first });
  expect(bodies(await list())).toEqual(['one', 'two']);
  expect(await past.consistentQuery(query('messages:get'), { id: first })).toMatchObject({ body: 'one' });

  const later = connect();
  expect(bodies(await later.consistentQuery(query('messages:list'), { channel: 'past' }))).toEqual(['two', 'three']);
  await send('past', 'four');
  expect(bodies(await later.consistentQuery(query('messages:list'), { channel: 'past' }))).toEqual(['two', 'three']);
  expect(bodies(await list())).toEqual(['one', 'two']);
});

test('a timestamp taken while many commit is one state for all who ask at it', async () => {
  const names = { first: 'one state', second: 'the same' };
  let writing = true;
  const writes = Promise.all(
    [1, 2, 3].map(async () => {
      const writer = connect();
      while (writing) await writer.mutation(mutation('counters:increaseBoth'), names, { skipQueue: true });
    }),
  );
  for (let round = 0; round < 15; round++) {
    const client = connect();
    const count = (name: string) => client.consistentQuery(query('counters:watch'), { name });
    const seen = [await count('one state'), await count('the same'), await count('one state')];
    expect(new Set(seen).size).toBe(1);
  }
  writing = false;
  await writes;
});

test.each([
  ['too old', encodeTimestamp(1n), 'is not kept any more: it is for a minute'],
  ['of the future', encodeTimestamp(2n ** 63n), 'lies after the newest one'],
])('a timestamp %s is refused', async (_what, ts, sentence) => {
  const body = JSON.stringify({ path: 'counters:watch', args: { name: 'x' }, ts });
  const answer = await fetch(`${engine.url}/api/query_at_ts`, { method: 'POST', body });
  expect(await answer.json()).toMatchObject({ status: 'error', errorMessage: expect.stringContaining(sentence) });
});

test('a timestamp that is none is a bad request', async () => {
  for (const ts of [undefined, 5, 'x']) {
    const body = JSON.stringify({ path: 'counters:watch', args: { name: 'x' }, ts });
    expect((await fetch(`${engine.url}/api/query_at_ts`, { method: 'POST', body })).status).toBe(400);
  }
});

/** Commits one write to `disk`, as the log does. */
function commit(history: History, disk: Map<string, string>, timestamp: bigint, value: string, now: number) {
  const writes = new Overlay();
  writes.set('ixkey', value);
  history.record(writes, timestamp, { get: (key) => disk.get(key) } as Reader, now);
  disk.set('ixkey', value);
}

test('the past is kept for a minute, and for as long as somebody asks for timestamps', () => {
  const history = new History();
  const disk = new Map([['ixkey', 'zero']]);
  commit(history, disk, 1n, 'one', 0);
  expect(history.undoTo(1n)).toBeUndefined();
  history.keep(1n, 0);
  commit(history, disk, 2n, 'two', 10_000);
  commit(history, disk, 3n, 'three', 50_000);
  expect([1n, 2n, 3n].map((at) => history.undoTo(at)?.get('ixkey'))).toEqual(['one', 'two', undefined]);
  history.keep(3n, 55_000);
  commit(history, disk, 4n, 'four', 75_000);
  expect(history.undoTo(1n)).toBeUndefined();
  expect([2n, 3n].map((at) => history.undoTo(at)?.get('ixkey'))).toEqual(['two', 'three']);
  commit(history, disk, 5n, 'five', 116_000);
  expect(history.isKept).toBe(false);
});

test('no more than 64 Mi characters of the past are kept', () => {
  const history = new History();
  const disk = new Map<string, string>();
  history.keep(0n, 0);
  const large = 'x'.repeat(30 * 1024 * 1024);
  for (const timestamp of [1n, 2n, 3n]) commit(history, disk, timestamp, large, 0);
  expect([0n, 1n].map((at) => history.undoTo(at)?.get('ixkey')?.length)).toEqual([undefined, large.length]);
  commit(history, disk, 4n, large, 0);
  expect([0n, 1n, 2n].map((at) => history.undoTo(at) !== undefined)).toEqual([false, false, true]);
});
