import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Reader } from '#local/convex/storage/storage.ts';
import { Scan } from './scan.ts';
import { type MutableRange, Transaction } from './transaction.ts';

/** A sorted map in memory that reads as the disk does. */
function readerOf(entries: ReadonlyMap<string, string>): Reader {
  return {
    get: (key) => entries.get(key),
    keys: ({ lower, upper }, descending, limit) => {
      const keys = [...entries.keys()].filter((key) => key >= lower && key < upper).sort();
      return (descending ? keys.reverse() : keys).slice(0, limit);
    },
  };
}

const key = fc.integer({ min: 0, max: 40 }).map((number) => `ix${String.fromCharCode(48 + number)}`);
const writes = fc.array(fc.tuple(key, fc.option(fc.constantFrom('a', 'b'))), { maxLength: 60 });

test('a scan through overlays finds what one flat map would hold, both ways, in bites of any size', () => {
  fc.assert(
    fc.property(
      writes,
      writes,
      writes,
      fc.boolean(),
      fc.integer({ min: 1, max: 8 }),
      key,
      key,
      (stored, below, own, descending, bite, one, other) => {
        const flat = new Map<string, string>();
        const disk = new Map<string, string>();
        for (const [at, text] of stored) if (text !== null) disk.set(at, text);
        for (const [at, text] of disk) flat.set(at, text);
        const outer = new Transaction(readerOf(disk), []);
        const inner = outer.nested();
        for (const [transaction, list] of [
          [outer, below],
          [inner, own],
        ] as const) {
          for (const [at, text] of list) {
            transaction.writes.set(at, text);
            if (text === null) flat.delete(at);
            else flat.set(at, text);
          }
        }
        const range = one < other ? { lower: one, upper: other } : { lower: other, upper: one };
        const scan = new Scan(inner, range, descending, bite);
        const found: string[] = [];
        for (let next = scan.next(); next !== undefined; next = scan.next()) found.push(next);
        expect(found).toEqual(readerOf(flat).keys(range, descending, Infinity));
        for (const at of found) expect(inner.get(at)).toBe(flat.get(at));
      },
    ),
    { numRuns: 500 },
  );
});

test('a scan notes as read just what it went over', () => {
  const disk = readerOf(new Map(['ixa', 'ixb', 'ixc', 'ixd'].map((at) => [at, ''])));
  const whole = { lower: 'ix', upper: 'iy' };
  const reads: MutableRange[] = [];
  const transaction = new Transaction(disk, [], reads);
  new Scan(transaction, whole, false).next();
  new Scan(transaction, whole, true).next();
  const all = new Scan(transaction, { lower: 'ixb', upper: 'ixd' }, false);
  while (all.next() !== undefined);
  expect(reads).toEqual([
    { lower: 'ix', upper: 'ixa\0' },
    { lower: 'ixd', upper: 'iy' },
    { lower: 'ixb', upper: 'ixd' },
  ]);
});

test('a nested transaction is kept when absorbed and gone when forgotten', () => {
  const outer = new Transaction(readerOf(new Map([['ixa', 'disk']])), []);
  outer.nested().writes.set('ixa', 'forgotten');
  expect(outer.get('ixa')).toBe('disk');
  const kept = outer.nested();
  kept.writes.set('ixa', null);
  outer.absorb(kept);
  expect(outer.get('ixa')).toBeUndefined();
});
