import { expect, test } from 'vitest';
import { MAX_TABLE_NUMBER, makeId, tableNumberOf } from './ids.ts';

test.each([0, 1, 33, MAX_TABLE_NUMBER])('an id is 32 letters and digits and tells its table, number %i', (number) => {
  const id = makeId(number, 1_795_175_133_985);
  expect(id).toMatch(/^[0-9a-z]{32}$/);
  expect(tableNumberOf(id)).toBe(number);
});

test('ids of one millisecond differ', () => {
  expect(new Set(Array.from({ length: 1_000 }, () => makeId(1, 5))).size).toBe(1_000);
});

test('other strings are no ids', () => {
  const id = makeId(7, 1_795_175_133_985);
  const mistyped = id.slice(0, 20) + (id[20] === 'a' ? 'b' : 'a') + id.slice(21);
  for (const text of ['', 'abc', id.slice(1), `${id}0`, id.toUpperCase(), mistyped]) {
    expect(tableNumberOf(text), text).toBeUndefined();
  }
});
