import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '#storage/store.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { LARGE, openKeys, read, type StoreUnderTest, video } from './store-bench.ts';

const MIB = 1024 ** 2;

/** What is put and copied comes back as it was. Part of the suite in `store.ts`. */
export function describePuts(getUnderTest: () => StoreUnderTest): void {
  describe('puts and copies', () => {
    let under: StoreUnderTest;
    let store: Store;
    const { newKey } = openKeys();

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
    });

    test.each([
      ['one byte', 1, 1],
      ['a small file', 10_240, 10_240],
      ['a small file of unknown length', 10_240, undefined],
      ['a large file', LARGE, LARGE],
      ['a large file of unknown length', LARGE, undefined],
    ])('%s comes back as it was put', async (_, length, size) => {
      const bytes = randomBytes(length);
      const key = newKey();
      const progress: number[] = [];
      const facts = await store.put(key, pieces(bytes, { size }), {
        ...video,
        checksum: sha256(bytes),
        onProgress: (done) => progress.push(done),
      });
      expect(facts).toMatchObject({ s3Key: key, size: length, checksum: sha256(bytes) });
      expect(sha256(await read(store, key))).toBe(sha256(bytes));
      expect(await store.head(key)).toMatchObject({
        key,
        size: length,
        contentType: 'video/mp4',
        checksum: sha256(bytes),
        etag: expect.stringMatching(/^".+"$/),
        lastModified: expect.closeTo(Date.now(), -5),
      });
      expect(progress.at(-1)).toBe(length);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    });

    test('putting the same again changes nothing', async () => {
      const bytes = randomBytes(100);
      const key = newKey();
      const first = await store.put(key, pieces(bytes), video);
      expect(await store.put(key, pieces(bytes), video)).toEqual({ ...first, versionId: first.versionId });
      expect(await read(store, key)).toEqual(bytes);
    });

    test('puts of one key at once are harmless', async () => {
      const bytes = randomBytes(LARGE);
      const key = newKey();
      await Promise.all(Array.from({ length: 3 }, () => store.put(key, pieces(bytes, { size: LARGE }), video)));
      expect(sha256(await read(store, key))).toBe(sha256(bytes));
      expect(await under.leftovers()).toBe(0);
    });

    test('copies inside the store, and again', async () => {
      const bytes = randomBytes(LARGE);
      const [from, to] = [newKey(), newKey()];
      await store.put(from, pieces(bytes), video);
      for (let time = 0; time < 2; time += 1) {
        const progress: number[] = [];
        const facts = await store.copy(from, to, {
          contentType: 'video/webm',
          filename: 'copy.webm',
          checksum: sha256(bytes),
          onProgress: (done) => progress.push(done),
        });
        expect(facts).toMatchObject({ s3Key: to, size: LARGE, checksum: sha256(bytes) });
        expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      }
      expect(await store.head(to)).toMatchObject({ contentType: 'video/webm', filename: 'copy.webm' });
      await store.deleteMany([from]);
      expect(sha256(await read(store, to))).toBe(sha256(bytes));
      const wrong = { ...video, checksum: sha256(Buffer.from('other')) };
      const third = newKey();
      await expect(store.copy(to, third, wrong)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
      expect(await store.head(third)).toBeUndefined();
    });

    test.each(['ünïcode 🎬.mp4', '日本語.srt', 'quote\'s "and" 100%;.mp4'])(
      'the file name %s survives',
      async (filename) => {
        const key = newKey('name');
        await store.put(key, pieces(randomBytes(10)), { ...video, filename, metadata: { who: 'Zoë' } });
        expect(await store.head(key)).toMatchObject({ filename });
      },
    );

    test('a large put takes little memory', async () => {
      const chunk = randomBytes(MIB);
      const size = 256 * MIB;
      function* repeat() {
        for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
      }
      const before = process.memoryUsage.rss();
      let most = before;
      const onProgress = () => {
        most = Math.max(most, process.memoryUsage.rss());
      };
      const key = newKey();
      const source = { size, open: async () => Readable.from(repeat()) };
      expect(await store.put(key, source, { ...video, onProgress })).toMatchObject({ size });
      expect(most - before).toBeLessThan(150 * MIB);
      await store.deleteMany([key]);
    }, 120_000);
  });
}
