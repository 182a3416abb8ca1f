import { ConvexHttpClient } from 'convex/browser';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { mutation, query, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';
import { makeId } from './ids.ts';
import { encodeValue, justAfter, pastPrefix } from './index-key.ts';
import { openStorage } from './storage.ts';

const INDEX = '\x00\x07';
/** Texts whose keys are whole, just whole, just cut, and cut, many with the head of another. */
const text = fc
  .tuple(fc.constantFrom(0, 5, 1_890, 1_894, 1_895, 1_896, 1_900, 2_500), fc.string({ unit: 'binary', maxLength: 3 }))
  .map(([length, tail]) => 'x'.repeat(length) + tail);

test('keys of any length are found in order, both ways, whole ranges and parts of them', async () => {
  const storage = openStorage(await temporaryFolder());
  onTestFinished(() => storage.close());
  let used = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, fc.boolean()), { minLength: 1, maxLength: 40 }),
      fc.tuple(text, text),
      fc.tuple(fc.boolean(), fc.boolean()),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      (rows, [from, to], [afterFrom, afterTo], limit, descending) => {
        const prefix = INDEX + encodeValue(used++);
        const keys = rows.map(([field]) => prefix + encodeValue(field) + encodeValue(makeId(1, 1)));
        storage.write(keys.map((key) => [key, '']));
        storage.write(keys.filter((_, at) => rows[at]?.[1]).map((key) => [key, null]));
        const kept = keys.filter((_, at) => !rows[at]?.[1]).sort();
        const bound = (field: string, after: boolean) =>
          after ? pastPrefix(prefix + encodeValue(field)) : prefix + encodeValue(field);
        const ends = [bound(from, afterFrom), bound(to, afterTo)].sort();
        const middle = kept[kept.length >> 1];
        for (const range of [
          { lower: prefix, upper: pastPrefix(prefix) },
          { lower: ends[0] ?? '', upper: ends[1] ?? '' },
          { lower: middle === undefined ? prefix : justAfter(middle), upper: pastPrefix(prefix) },
          { lower: prefix, upper: middle ?? prefix },
        ]) {
          const wanted = kept.filter((key) => key >= range.lower && key < range.upper);
          if (descending) wanted.reverse();
          expect(storage.keys(range, descending, limit)).toEqual(wanted.slice(0, limit));
        }
        for (const [at, key] of keys.entries()) expect(storage.get(key)).toBe(rows[at]?.[1] ? undefined : '');
      },
    ),
    { numRuns: 300 },
  );
});

test('texts of 100 KB are indexed: found, ordered and changed, after a crash too', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  const client = new ConvexHttpClient(engine.url);
  const long = 'x'.repeat(100_000);
  const ids = [];
  for (const tail of ['c', 'a', 'b']) {
    ids.push(await client.mutation(mutation('counters:create'), { name: long + tail }));
  }
  expect(await client.mutation(mutation('counters:increase'), { name: `${long}b` })).toBe(1);
  await client.mutation(mutation('values:put'), { values: [`${long}b`, long, `${long}a`, 'short', [long]] });
  const inOrder = async (at: ConvexHttpClient) =>
    (await at.query(query('values:inOrder'), {})).map((value: unknown) => JSON.stringify(value).slice(-4));
  expect(await inOrder(client)).toEqual(['ort"', 'xxx"', 'xxa"', 'xxb"', 'xx"]']);
  await engine.kill();
  const again = new ConvexHttpClient((await startEngine({ data })).url);
  expect(await again.query(query('counters:watch'), { name: `${long}b` })).toBe(1);
  expect(await again.query(query('counters:watch'), { name: `${long}a` })).toBe(0);
  expect(await again.mutation(mutation('counters:increase'), { name: long })).toBe(1);
  expect(await inOrder(again)).toEqual(['ort"', 'xxx"', 'xxa"', 'xxb"', 'xx"]']);
});

test('a document whose key changes behind the cut has its new one, whatever is written first', async () => {
  const storage = openStorage(await temporaryFolder());
  onTestFinished(() => storage.close());
  const id = makeId(1, 1);
  const keyOf = (tail: string) => INDEX + encodeValue('x'.repeat(3_000)) + encodeValue(tail) + encodeValue(id);
  const range = { lower: INDEX, upper: pastPrefix(INDEX) };
  storage.write([[keyOf('1'), '']]);
  storage.write([
    [keyOf('2'), ''],
    [keyOf('1'), null],
  ]);
  expect(storage.keys(range, false, 10)).toEqual([keyOf('2')]);
  storage.write([
    [keyOf('2'), null],
    [keyOf('3'), ''],
  ]);
  expect(storage.keys(range, false, 10)).toEqual([keyOf('3')]);
});
