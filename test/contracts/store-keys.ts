import { beforeAll, describe, expect, test } from 'vitest';
import { compareKeys } from '#storage/disk-list.ts';
import type { Store } from '#storage/store.ts';
import { pieces } from '#test/sources.ts';
import { openKeys, type StoreUnderTest, video } from './store-bench.ts';

/** Lists and deletions. Part of the suite in `store.ts`. */
export function describeKeys(getUnderTest: () => StoreUnderTest): void {
  describe('lists and deletes', () => {
    let under: StoreUnderTest;
    let store: Store;
    const { newKey } = openKeys();

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
    });

    test('lists in byte order, page by page, each key once', async () => {
      const root = newKey('');
      const names = [
        'a',
        'a b',
        'a!',
        'a+b',
        'a-b/c',
        'a/b',
        'a/b-',
        'a0',
        'B',
        'z&<é>',
        'é',
        '\uffee',
        '🎬',
        '~',
        ' lead',
        'trail ',
      ];
      const keys = names.map((odd) => `${root}${odd}/x`);
      await Promise.all(keys.map((key) => store.put(key, pieces(Buffer.from(key)), video)));
      const sorted = keys.toSorted(compareKeys);
      for (const limit of [1, 3, 1000]) {
        const seen: string[] = [];
        let after: string | undefined;
        do {
          const page = await store.list(root, { after, limit });
          expect(page.objects.length).toBeLessThanOrEqual(limit);
          seen.push(...page.objects.map((object) => object.key));
          after = page.next;
        } while (after !== undefined);
        expect(seen).toEqual(sorted);
      }
      const inside = await store.list(`${root}a-`);
      expect(inside.objects).toMatchObject([{ key: `${root}a-b/c/x`, size: Buffer.byteLength(`${root}a-b/c/x`) }]);
      expect((await store.list(root, { after: sorted.at(-1) })).objects).toEqual([]);
    });

    test('deletes many, and only those', async () => {
      const root = newKey('');
      const keys = Array.from({ length: 30 }, (_, index) => `${root}${index}`);
      await Promise.all(keys.map((key) => store.put(key, pieces(Buffer.from(key)), video)));
      const missing = Array.from({ length: 1_100 }, (_, index) => `${root}missing-${index}`);
      await store.deleteMany([...missing, ...keys.slice(1)]);
      expect((await store.list(root)).objects.map((object) => object.key)).toEqual([keys[0]]);
    });
  });
}
