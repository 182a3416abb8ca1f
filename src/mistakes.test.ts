import { expect, test } from 'vitest';
import { z } from 'zod';
import { inWords, wholeNumber } from '#mistakes';

const KIND = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('path') }),
  z.object({ kind: z.literal('url') }),
]);

test.each<[z.ZodType, unknown, string]>([
  [z.string(), undefined, 'Is missing.'],
  [z.string(), 1, 'Must be text.'],
  [z.int(), 1.5, 'Must be a whole number.'],
  [z.array(z.string()), {}, 'Must be a list.'],
  [z.strictObject({}), [], 'Must be an object.'],
  [z.record(z.string(), z.unknown()), 'x', 'Must be an object.'],
  [z.enum(['a', 'b']), 'c', 'Must be one of a, b.'],
  [z.literal('a'), 'c', 'Must be a.'],
  [z.stringbool({ truthy: ['1'], falsy: ['0'] }), 'yes', 'Must be one of 1, 0.'],
  [KIND, { kind: 'ftp' }, 'Must be one of path, url.'],
  [z.string().min(1), '', 'Must not be empty.'],
  [z.array(z.string()).min(1), [], 'Must not be empty.'],
  [z.string().min(8), 'short', 'Must have at least 8 characters.'],
  [z.array(z.string()).max(1), ['a', 'b'], 'Must have at most 1 items.'],
  [z.int().min(1), 0, 'Must be at least 1.'],
  [z.url(), 'localhost', 'Must be a URL.'],
  [z.url('Own words.'), 'localhost', 'Own words.'],
  [wholeNumber(1, 9), 'x', 'Must be a whole number from 1 to 9.'],
  [wholeNumber(1, 9), '1.5', 'Must be a whole number from 1 to 9.'],
  [wholeNumber(1, 9), '10', 'Must be a whole number from 1 to 9.'],
])('case %#', (schema, value, message) => {
  const { error } = schema.safeParse(value, { error: inWords });
  expect(error?.issues.map((issue) => issue.message)).toEqual([message]);
});
