import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench } from '#test/bad-input/bench.ts';
import { BAD_INPUT } from '#test/bad-input/rows.ts';

let bench: Bench;
let before: string;
const good = async () => bench.fate(await bench.post({ origin: { kind: 'path', path: 'good.py' } }));
beforeAll(async () => {
  bench = await openBench();
  before = await good();
});
afterAll(() => bench.close());

/** Of 10,000 files in a form half are staged, each put on the disk for good, before there are too many. */
const WITHIN = 120_000;

describe.each(Object.entries(BAD_INPUT))('bad input: %s', (_what, rows) => {
  test.concurrent.each(rows)(
    '$input: $expected',
    async ({ run, expected }) => {
      expect(await run(bench)).toBe(expected);
    },
    WITHIN,
  );
});

test('nothing is left behind and good input still goes through', async () => {
  expect([before, await good()]).toEqual(['ready', 'ready']);
  expect((await bench.store.list('staging/')).objects).toEqual([]);
  expect((await bench.store.list('')).objects.filter(({ key }) => key.includes('..'))).toEqual([]);
});
