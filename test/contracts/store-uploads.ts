import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Journal, Store } from '#storage/store.ts';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces } from '#test/sources.ts';
import { allUploads, openKeys, type StoreUnderTest, video } from './store-bench.ts';

/** Puts that were begun, as reconciliation sees them. Part of the suite in `store.ts`. */
export function describeUploads(getUnderTest: () => StoreUnderTest): void {
  describe('tells of puts that were begun', () => {
    let under: StoreUnderTest;
    let store: Store;
    let bytes: Buffer;
    const { prefix, newKey } = openKeys();

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
      bytes = randomBytes(under.partSize + 1);
    });

    /** Begins a put at `key`, which breaks off before any byte of it is sent. */
    async function begin(key: string): Promise<Journal> {
      const journal = memoryJournal();
      const crash = new Error('crashed');
      const abort = new AbortController();
      const crashing: Journal = {
        ...journal,
        async write(fields) {
          await journal.write(fields);
          abort.abort(crash);
        },
      };
      const put = store.put(key, pieces(bytes), { ...video, journal: crashing, signal: abort.signal });
      await expect(put).rejects.toBe(crash);
      return journal;
    }

    test('by key, page by page, each once, and only those of a prefix', async () => {
      const root = newKey('');
      const keys = ['b-b', 'a/1', 'b/1', 'c é', 'a/2'].map((name) => `${root}${name}.mp4`);
      for (const key of keys) await begin(key);
      await begin(keys[0] ?? '');
      const sorted = [...keys, keys[0] ?? ''].toSorted();
      for (const limit of [1, 2, 6, 1_000]) {
        const seen = await allUploads(store, root, limit);
        expect(seen.map(({ key }) => key)).toEqual(sorted);
        expect(new Set(seen.map(({ uploadId }) => uploadId)).size).toBe(6);
      }
      for (const { startedAt } of await allUploads(store, root)) expect(startedAt).toBeCloseTo(Date.now(), -5);
      expect((await allUploads(store, `${root}a/`)).map(({ key }) => key)).toEqual([
        `${root}a/1.mp4`,
        `${root}a/2.mp4`,
      ]);
      expect(await allUploads(store, newKey(''))).toEqual([]);
      for (const upload of await allUploads(store, prefix)) await store.abortUpload(upload);
      expect(await allUploads(store, prefix)).toEqual([]);
    });

    test('ends one of them for good, and only that one', async () => {
      const key = newKey();
      await begin(key);
      await begin(key);
      const [first, second] = await allUploads(store, key);
      if (!first || !second) throw new Error('Two uploads were begun.');
      await store.abortUpload({ key: newKey(), uploadId: second.uploadId });
      await store.abortUpload(first);
      await store.abortUpload(first);
      expect(await allUploads(store, key)).toEqual([second]);
      await store.abortUpload(second);
      expect(await allUploads(store, key)).toEqual([]);
    });

    test('one that is ended meanwhile is the store’s trouble, and begins anew with the next try', async () => {
      const key = newKey();
      const journal = memoryJournal();
      const ending: Journal = {
        ...journal,
        async write(fields) {
          await journal.write(fields);
          for (const upload of await allUploads(store, key)) await store.abortUpload(upload);
        },
      };
      const put = store.put(key, pieces(bytes), { ...video, journal: ending });
      await expect(put).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(await store.head(key)).toBeUndefined();
      await store.put(key, pieces(bytes), { ...video, journal });
      expect(await store.head(key)).toMatchObject({ size: bytes.length });
    });

    test('objects are none, nor are puts that ended', async () => {
      const key = newKey();
      await store.put(key, pieces(bytes), { ...video, journal: memoryJournal() });
      await store.put(`${key}2`, pieces(bytes), video);
      expect(await allUploads(store, key)).toEqual([]);
      await store.abortUpload({ key, uploadId: 'of-another-store' });
    });
  });
}
