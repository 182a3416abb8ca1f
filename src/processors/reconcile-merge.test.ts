import { expect, test } from 'vitest';
import { pairUp, type SortedPage } from './reconcile-merge.ts';

const own = { left: (key: string) => key, right: (key: string) => key };
const page = (items: string[], next?: string): SortedPage<string> => ({ items, next });
const shown = ({ pairs, next }: ReturnType<typeof pairUp<string, string>>) => ({
  pairs: pairs.map(({ left = '-', right = '-' }) => `${left} ${right}`),
  next,
});

test('what is under one key is a pair, and what is alone stays alone', () => {
  expect(shown(pairUp(page(['a', 'b', 'd']), page(['b', 'c', 'd', 'e']), own))).toEqual({
    pairs: ['a -', 'b b', '- c', 'd d', '- e'],
    next: undefined,
  });
});

test('nothing is judged alone beyond where the other list was read to', () => {
  const { pairs, next } = shown(pairUp(page(['a', 'b', 'z'], 'z'), page(['a', 'c'], 'c'), own));
  expect(pairs).toEqual(['a a', 'b -', '- c']);
  expect(next).toBe('c');
});

test('a list at its end lets the other go on alone', () => {
  expect(shown(pairUp(page([]), page(['a', 'b'], 'b'), own))).toEqual({ pairs: ['- a', '- b'], next: 'b' });
});

test('keys are ordered by their bytes, as stores do', () => {
  // In UTF-16 the emoji, a surrogate pair, comes before U+FF5E.
  const keys = ['a/\uff5e', 'a/\u{1f600}'];
  expect(shown(pairUp(page(keys), page(keys), own)).pairs).toEqual(keys.map((key) => `${key} ${key}`));
});

test('any two lists, read in pages of any size, pair up as a whole', () => {
  const lefts = Array.from({ length: 60 }, (_, n) => `k${String(n * 2).padStart(3, '0')}`);
  const rights = Array.from({ length: 60 }, (_, n) => `k${String(n * 3).padStart(3, '0')}`);
  const read = (list: string[], place: string, limit: number) => {
    const rest = list.filter((key) => key > place);
    return page(rest.slice(0, limit), rest.length > limit ? rest[limit - 1] : undefined);
  };
  const whole = shown(pairUp(page(lefts), page(rights), own)).pairs;
  for (const [l, r] of [
    [1, 1],
    [7, 3],
    [2, 50],
  ] as const) {
    const pairs: string[] = [];
    for (let place: string | undefined = ''; place !== undefined; ) {
      const step = shown(pairUp(read(lefts, place, l), read(rights, place, r), own));
      pairs.push(...step.pairs);
      place = step.next;
    }
    expect(pairs).toEqual(whole);
  }
});
