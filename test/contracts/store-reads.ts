import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '#storage/store.ts';
import { pieces } from '#test/sources.ts';
import { openKeys, read, type StoreUnderTest, video } from './store-bench.ts';

/** Reading, by us and by who has a URL. Part of the suite in `store.ts`. */
export function describeReads(getUnderTest: () => StoreUnderTest): void {
  describe('reads', () => {
    let under: StoreUnderTest;
    let store: Store;
    const { newKey } = openKeys();

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
    });

    test('reading that is aborted while it begins rejects with the reason', async () => {
      const key = newKey();
      await store.put(key, pieces(randomBytes(1_000)), video);
      const reason = new Error('not wanted any more');
      const abort = new AbortController();
      const reading = store.get(key, { signal: abort.signal });
      abort.abort(reason);
      await expect(reading).rejects.toBe(reason);
    });

    test('ranges are inclusive and cut at the end', async () => {
      const bytes = randomBytes(1000);
      const key = newKey();
      await store.put(key, pieces(bytes), video);
      expect(await read(store, key, { start: 0, end: 0 })).toEqual(bytes.subarray(0, 1));
      expect(await read(store, key, { start: 999, end: 999 })).toEqual(bytes.subarray(999));
      expect(await read(store, key, { start: 990, end: 5000 })).toEqual(bytes.subarray(990));
      const { info, body } = await store.get(key, { range: { start: 5, end: 9 } });
      expect(info.size).toBe(1000);
      expect(await buffer(body)).toEqual(bytes.subarray(5, 10));
      for (const range of [
        { start: 1000, end: 1001 },
        { start: 5, end: 4 },
      ]) {
        await expect(read(store, key, range)).rejects.toMatchObject({ code: 'RANGE_NOT_SATISFIABLE' });
      }
    });

    test('what is not there is said so', async () => {
      expect(await store.head(newKey())).toBeUndefined();
      await expect(store.get(newKey())).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(store.copy(newKey(), newKey(), video)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await store.deleteMany([newKey()]);
    });

    test('a signed URL serves the object, until it expires or is tampered with', async () => {
      const bytes = randomBytes(5000);
      const [key, other] = [newKey('ünïcode 🎬 +&.mp4'), newKey()];
      await store.put(key, pieces(bytes), video);
      await store.put(other, pieces(bytes), video);
      const options = { expiresInSeconds: 60, filename: 'Zoë.mp4', download: true };
      const { url, expiresAt } = await store.signGet(key, options);
      expect(expiresAt).toBeGreaterThan(Date.now() + 50_000);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
      expect(await under.fetch(url)).toEqual({ status: 200, bytes });
      expect(await under.fetch(url, 'bytes=10-19')).toEqual({ status: 206, bytes: bytes.subarray(10, 20) });
      const refused = { status: 403, bytes: Buffer.alloc(0) };
      const [path, query] = url.split('?');
      const { url: otherUrl } = await store.signGet(other, options);
      expect(await under.fetch(`${otherUrl.split('?')[0]}?${query}`)).toEqual(refused);
      expect(await under.fetch(`${path}?${query?.replace('Zo', 'Za')}`)).toEqual(refused);
      expect(await under.fetch((await under.behind.signGet(key, options)).url)).toEqual(refused);
    });
  });
}
