import { ConvexHttpClient } from 'convex/browser';
import type { Value } from 'convex/values';
import { expect, test } from 'vitest';
import { mutation, query, sharedEngine, startEngine } from '#local/convex/testing/engines.ts';

const engine = sharedEngine();
const connect = () => new ConvexHttpClient(engine.url, { logger: false });
const MIB = 1024 * 1024;
/** What a document of table `values` has around its text: two bytes, and the names and values of its fields. */
const AROUND = 2 + (3 + 1 + 34) + (13 + 1 + 9) + (5 + 1 + 2);
const HELP =
  'Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a selective index range expressions.';

/** What a call answers, or the message of its error. */
async function said(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: Error) => error.message);
}
const ask = (name: string, args: Record<string, Value>) => said(connect().query(query(`limits:${name}`), args));
const tell = (name: string, args: Record<string, Value>) => said(connect().mutation(mutation(`limits:${name}`), args));

test('a mutation writes at most 16,000 documents, nested ones included, and none past that', async () => {
  const refusal = 'Uncaught Error: Too many writes in a single function execution (limit: 16000)';
  expect(await tell('fill', { count: 16_001, letters: 1 })).toBe(refusal);
  expect(await tell('fillNested', { count: 16_002 })).toContain(refusal);
  expect(await ask('take', { count: 1 })).toBe(0);
  expect(await tell('fill', { count: 16_000, letters: 1 })).toBe(null);
  expect(await tell('fillNested', { count: 16_000 })).toBe(null);
});

test('a query reads at most 32,000 documents, those a filter drops included; a page ends there instead', async () => {
  expect(await tell('fill', { count: 10, letters: 1 })).toBe(null);
  const refusal = `Uncaught Error: Too many documents read in a single function execution (limit: 32000). ${HELP}`;
  expect(await ask('take', { count: 32_000 })).toBe(32_000);
  expect(await ask('take', { count: 32_001 })).toBe(refusal);
  expect(await ask('take', { count: 1, filtered: true })).toBe(refusal);
  const first = (await ask('page', { count: 32_005, cursor: null })) as {
    found: number;
    status: string;
    cursor: string;
  };
  expect(first).toMatchObject({ found: 32_000, status: 'SplitRequired' });
  expect(await ask('page', { count: 32_005, cursor: first.cursor })).toMatchObject({ found: 10, status: null });
});

test('a function reads at most 4,096 ranges', async () => {
  expect(await ask('ask', { times: 4_096 })).toEqual({ used: 4_096, remaining: 0 });
  const refusal = `Uncaught Error: Too many reads in a single function execution (limit: 4096). ${HELP}`;
  expect(await ask('ask', { times: 4_097 })).toBe(refusal);
});

test('a mutation writes, and a query reads, at most 16 MiB', async () => {
  const client = new ConvexHttpClient((await startEngine()).url, { logger: false });
  const fill = (count: number, letters: number) => said(client.mutation(mutation('limits:fill'), { count, letters }));
  const taken = (count: number) => said(client.query(query('limits:take'), { count }));
  const letters = MIB / 2 - AROUND;
  expect(await fill(33, letters)).toBe(
    'Uncaught Error: Too many bytes written in a single function execution (limit: 16777216 bytes)',
  );
  expect(await fill(32, letters)).toBe(null);
  expect(await fill(1, 1)).toBe(null);
  expect(await taken(32)).toBe(32);
  expect(await taken(33)).toBe(
    `Uncaught Error: Too many bytes read in a single function execution (limit: 16777216 bytes). ${HELP}`,
  );
});

test.each([
  ['nested', 15, 16, 'Uncaught Error: Document is too nested (nested 17 levels deep > maximum nesting 16)'],
  [
    'nested',
    15,
    64,
    'Uncaught Error: Invalid argument `value` for `db.insert`: Value is too nested (nested 65 levels deep > maximum nesting 64)',
  ],
  [
    'array',
    8_192,
    8_193,
    'Uncaught Error: Invalid argument `value` for `db.insert`: Array length is too long (8193 > maximum length 8192)',
  ],
  [
    'fields',
    1_024,
    1_025,
    'Uncaught Error: Invalid argument `value` for `db.insert`: Object has too many fields (1025 > maximum number 1024)',
  ],
  ['letters', MIB - AROUND, MIB - AROUND + 1, 'Uncaught Error: Value is too large (1 MiB > maximum size 1 MiB)'],
] as const)('a document takes %s of %i, and not of %i', async (shape, most, tooMuch, refusal) => {
  expect(await tell('put', { shape, size: most })).toBe(null);
  expect(await tell('put', { shape, size: tooMuch })).toBe(refusal);
});

test.each([
  [
    'nested',
    64,
    65,
    'Function limits.js:give return value invalid: Value is too nested (nested 65 levels deep > maximum nesting 64)',
  ],
  [
    'array',
    8_192,
    8_193,
    'Function limits.js:give return value invalid: Array length is too long (8193 > maximum length 8192)',
  ],
  [
    'letters',
    16 * MIB - 2,
    16 * MIB - 1,
    'Function limits.js:give return value is too large (actual: 16 MiB, limit: 16 MiB)',
  ],
] as const)('a result has %s of %i, and not of %i', async (shape, most, tooMuch, refusal) => {
  expect(await ask('give', { shape, size: most })).not.toEqual(expect.stringContaining('return value'));
  expect(await ask('give', { shape, size: tooMuch })).toBe(refusal);
});

test('arguments are limited as results are', async () => {
  let value: Value = 1;
  for (let level = 0; level < 62; level++) value = [value];
  expect(await ask('depth', { value })).toBe(62);
  expect(await ask('depth', { value: [value] })).toBe(
    'Invalid arguments for limits.js:depth: Value is too nested (nested 65 levels deep > maximum nesting 64)',
  );
  // `[{value: "…"}]` has 12 bytes around the text.
  expect(await ask('depth', { value: 'x'.repeat(16 * MIB - 12) })).toBe(0);
  expect(await ask('depth', { value: 'x'.repeat(16 * MIB - 11) })).toBe(
    'Arguments for limits.js:depth are too large (actual: 16 MiB, limit: 16 MiB)',
  );
});

/** The machine may be short of processors, which these tests want for seconds. */
const BUSY = 120_000;

test('a function has a second of its own time, asleep or waiting for others is not', { timeout: BUSY }, async () => {
  const refusal = 'Function execution timed out (maximum duration: 1s)';
  expect(await ask('compute', { milliseconds: 1_100, pieces: 2 })).toContain(refusal);
  const asleep = ask('sleep', { milliseconds: 1_500 });
  const others = [ask('compute', { milliseconds: 550, pieces: 11 }), ask('compute', { milliseconds: 550, pieces: 11 })];
  expect(await Promise.all([asleep, ...others])).toEqual(['done', 'done', 'done']);
});

test('a mutation over its time writes nothing, even when it goes on', { timeout: BUSY }, async () => {
  expect(await tell('writeAndCompute', { name: 'slow', milliseconds: 1_100 })).toBe(
    'Function execution timed out (maximum duration: 1s)',
  );
  expect(await said(connect().query(query('counters:watch'), { name: 'slow' }))).toBe(0);
});

test('a mutation that never ends is given up, and the next one runs', async () => {
  const hung = tell('hang', {});
  const next = said(connect().mutation(mutation('counters:increase'), { name: 'after the hung one' }));
  expect(await hung).toBe('Function execution timed out (maximum duration: 15s)');
  expect(await next).toBe(1);
});
