import { ConvexHttpClient } from 'convex/browser';
import { ConvexError, compareValues, type Value } from 'convex/values';
import { expect, test, vi } from 'vitest';
import { action, mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';

const engine = sharedEngine({ FIXTURE_SETTING: 'given' });
const connect = () => new ConvexHttpClient(engine.url);
const messageOf = (call: Promise<unknown>) =>
  call.then(
    () => 'no error',
    (error: Error) => error.message,
  );
const bodies = (messages: { body: string }[]) => messages.map(({ body }) => body);

test('documents are inserted, read, patched, replaced and deleted', async () => {
  const client = connect();
  const id = await client.mutation(mutation('messages:send'), { channel: 'crud', body: 'one', rank: 1 });
  const inserted = await client.query(query('messages:get'), { id });
  expect(inserted).toMatchObject({ _id: id, channel: 'crud', body: 'one', rank: 1 });
  expect(Math.abs(inserted._creationTime - Date.now())).toBeLessThan(60_000);

  await client.mutation(mutation('messages:edit'), { id, body: 'two' });
  const { rank: _, ...rest } = inserted;
  expect(await client.query(query('messages:get'), { id })).toEqual({ ...rest, body: 'two' });

  await client.mutation(mutation('messages:replace'), { id, channel: 'elsewhere', body: 'three' });
  expect(await client.query(query('messages:list'), { channel: 'crud' })).toEqual([]);
  expect(bodies(await client.query(query('messages:list'), { channel: 'elsewhere' }))).toEqual(['three']);

  await client.mutation(mutation('messages:remove'), { id });
  expect(await client.query(query('messages:get'), { id })).toBeNull();
  expect(await client.query(query('messages:list'), { channel: 'elsewhere' })).toEqual([]);
  expect(await messageOf(client.mutation(mutation('messages:remove'), { id }))).toContain('nonexistent document');
});

test('index ranges, orders, filters and limits work together', async () => {
  const client = connect();
  for (const [body, rank] of [
    ['a', 1],
    ['b', 2],
    ['hidden', 3],
    ['c', 4],
    ['d', 5],
  ] as const) {
    await client.mutation(mutation('messages:send'), { channel: 'ranked', body, rank });
  }
  await client.mutation(mutation('messages:send'), { channel: 'ranked', body: 'no rank' });
  const ranked = (above: number, order: 'asc' | 'desc') =>
    client.query(query('messages:ranked'), { channel: 'ranked', above, order });
  expect(await ranked(1, 'asc')).toEqual(['b', 'c', 'd']);
  expect(await ranked(0, 'desc')).toEqual(['d', 'c', 'b']);
  expect(await ranked(5, 'asc')).toEqual([]);
});

test('creation times rise within and across mutations', async () => {
  const client = connect();
  for (let at = 0; at < 5; at++) await client.mutation(mutation('messages:sendDespite'), { channel: 'times' });
  const times = (await client.query(query('messages:list'), { channel: 'times' })).map(
    ({ _creationTime }: { _creationTime: number }) => _creationTime,
  );
  expect(times).toHaveLength(10);
  expect(new Set(times).size).toBe(10);
  expect(times).toEqual([...times].sort((one, other) => one - other));
});

test('every kind of value comes back as it went in, in the order of Convex', async () => {
  const client = connect();
  const bytes = new Uint8Array([0, 255, 1]).buffer;
  const values: Value[] = [
    { b: 1n, a: [null] },
    'é',
    'a\0b',
    '',
    5n,
    -5n,
    2n ** 63n - 1n,
    true,
    false,
    null,
    [1, [2]],
    [],
    bytes,
    0,
    -0,
    1.5,
    -1.5,
    Number.NaN,
    Infinity,
    -Infinity,
    {},
  ];
  await client.mutation(mutation('values:put'), { values });
  const found = await client.query(query('values:inOrder'), {});
  expect(found).toEqual([...values].sort(compareValues));
  expect(found.some((value: unknown) => Object.is(value, -0))).toBe(true);
});

test('arguments are validated in the words of Convex', async () => {
  const client = connect();
  expect(await messageOf(client.query(query('messages:list'), {}))).toBe(
    'ArgumentValidationError: Object is missing the required field `channel`. Consider wrapping the field validator in `v.optional(...)` if this is expected.\n\nObject: {}\nValidator: v.object({channel: v.string()})',
  );
  expect(await messageOf(client.query(query('messages:list'), { channel: 'a', more: 1 }))).toContain(
    'ArgumentValidationError: Object contains extra field `more` that is not in the validator.',
  );
  expect(await messageOf(client.query(query('messages:get'), { id: 'abc' }))).toBe(
    'ArgumentValidationError: Value does not match validator.\nPath: .id\nValue: "abc"\nValidator: v.id("messages")',
  );
});

test('an id of another table is refused', async () => {
  const client = connect();
  const id = await client.mutation(mutation('counters:create'), { name: 'other table' });
  expect(await messageOf(client.query(query('messages:get'), { id }))).toContain('Validator: v.id("messages")');
});

test('returns and documents are validated, and what a mutation wrote before is gone', async () => {
  const client = connect();
  expect(await messageOf(client.query(query('messages:returnsWrongly'), {}))).toBe(
    'ReturnsValidationError: Value does not match validator.\nValue: 5.0\nValidator: v.string()',
  );
  expect(await messageOf(client.mutation(mutation('messages:sendBadly'), { channel: 'bad' }))).toContain(
    'Failed to insert or update a document in table "messages" because it does not match the schema: Value does not match validator.\nPath: .channel',
  );
  expect(await client.query(query('messages:list'), { channel: 'bad' })).toEqual([]);
});

test('a ConvexError keeps its data and undoes the mutation; other errors give their message', async () => {
  const client = connect();
  const refusal = await client
    .mutation(mutation('messages:sendAndThrow'), { channel: 'thrown' })
    .catch((error) => error);
  expect(refusal).toBeInstanceOf(ConvexError);
  expect(refusal.data).toEqual({ code: 'REFUSED', channel: 'thrown' });
  expect(await client.query(query('messages:list'), { channel: 'thrown' })).toEqual([]);
  const failure = await client.query(query('messages:throws'), {}).catch((error) => error);
  expect(failure).not.toBeInstanceOf(ConvexError);
  expect(failure.message).toBe('Uncaught Error: on purpose');
});

test('a nested mutation that throws is rolled back alone', async () => {
  const client = connect();
  expect(await client.mutation(mutation('messages:sendDespite'), { channel: 'nested' })).toBe('REFUSED');
  expect(bodies(await client.query(query('messages:list'), { channel: 'nested' }))).toEqual(['before', 'after']);
});

test('nested mutations started together run one after another', async () => {
  expect(await connect().mutation(mutation('counters:increaseAtOnce'), { name: 'at once' })).toEqual([1, 2]);
});

test('pages follow each other without gaps, and an end cursor holds a page to its end', async () => {
  const client = connect();
  for (let at = 0; at < 7; at++) {
    await client.mutation(mutation('messages:send'), { channel: 'paged', body: `${at}` });
  }
  const page = (cursor: string | null, numItems: number, endCursor?: string) =>
    client.query(query('messages:page'), { channel: 'paged', paginationOpts: { cursor, numItems, endCursor } });
  const first = await page(null, 3);
  expect([bodies(first.page), first.isDone]).toEqual([['0', '1', '2'], false]);
  const second = await page(first.continueCursor, 3);
  expect([bodies(second.page), second.isDone]).toEqual([['3', '4', '5'], false]);
  const third = await page(second.continueCursor, 3);
  expect([bodies(third.page), third.isDone]).toEqual([['6'], true]);
  expect((await page(third.continueCursor, 3)).page).toEqual([]);
  expect(bodies((await page(first.continueCursor, 1, second.continueCursor)).page)).toEqual(['3', '4', '5']);
  expect(bodies((await page(null, 1, second.splitCursor)).page)).toEqual(['0', '1', '2', '3']);
  const alien = client.query(query('messages:page'), {
    channel: 'another',
    paginationOpts: { cursor: first.continueCursor, numItems: 1 },
  });
  expect(await messageOf(alien)).toContain('InvalidCursor');
});

test('one paginated query a function', async () => {
  expect(await messageOf(connect().query(query('messages:twoPages'), {}))).toContain('single paginated query');
});

test('a query being read sees what its mutation does ahead of it', async () => {
  const client = connect();
  for (const rank of [1, 2, 3, 4]) {
    await client.mutation(mutation('messages:send'), { channel: 'ahead', body: `${rank}`, rank });
  }
  expect(await client.mutation(mutation('messages:changeAhead'), { channel: 'ahead' })).toEqual([
    '1',
    '3',
    'inserted',
    '4',
  ]);
});

test('what functions leave running does not harm the engine', async () => {
  const client = connect();
  await client.mutation(mutation('messages:forgets'), { channel: 'forgotten' });
  await client.query(query('messages:readsOn'), {});
  await vi.waitFor(async () =>
    expect(await client.query(query('messages:refusalOfReadsOn'), {})).toBe(
      'The function has ended, it can read no more.',
    ),
  );
  expect(bodies(await client.query(query('messages:list'), { channel: 'forgotten' }))).toEqual(['kept']);
});

test('a query sees one state, whatever is committed while it runs', async () => {
  const client = connect();
  const names = { first: 'steady-1', second: 'steady-2' };
  let writing = true;
  const writes = (async () => {
    while (writing) await client.mutation(mutation('counters:increaseBoth'), names);
  })();
  const pairs: number[][] = [];
  const reader = connect();
  for (let at = 0; at < 60; at++) pairs.push(await reader.query(query('counters:watchSlowly'), names));
  writing = false;
  await writes;
  expect(pairs.filter(([first, second]) => first !== second)).toEqual([]);
  expect(new Set(pairs.map(([first]) => first)).size).toBeGreaterThan(1);
});

test('internal functions are closed to all but admins', async () => {
  const client = connect();
  await client.mutation(mutation('messages:send'), { channel: 'closed', body: 'x' });
  expect(await messageOf(client.mutation(mutation('messages:purge'), { channel: 'closed' }))).toContain(
    "Could not find public function for 'messages:purge'",
  );
  expect(await messageOf(client.query(query('messages:nowhere'), {}))).toContain('Could not find public function');
  expect(await messageOf(client.query(query('messages:send'), { channel: 'a', body: 'b' }))).toBe(
    'Trying to execute messages:send as Query, but it is defined as Mutation.',
  );
});

test('actions call queries and mutations', async () => {
  const client = connect();
  const before = (await client.query(query('values:inOrder'), {})).length;
  expect(await client.action(action('values:putByAction'), { value: 'by action' })).toBe(before + 1);
});

test('functions see the environment, files in folders, default exports, and their lines reach the caller', async () => {
  const client = connect();
  expect(await client.query(query('notes/whoami:setting'), {})).toBe('given');
  expect(await client.query(query('notes/whoami'), {})).toBe('default export');
  const body = JSON.stringify({ path: 'notes/whoami:prints', args: {}, format: 'json' });
  const answer = await fetch(`${engine.url}/api/query`, { method: 'POST', body });
  expect(await answer.json()).toEqual({ status: 'success', value: null, logLines: ["[LOG] 'hello' { n: 1 }"] });
});
