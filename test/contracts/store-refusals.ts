import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import type { PutOptions, Source, Store } from '#storage/store.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { LARGE, openKeys, type StoreUnderTest, video } from './store-bench.ts';

/** What the port refuses, and that nothing is left of it. Part of the suite in `store.ts`. */
export function describeRefusals(getUnderTest: () => StoreUnderTest): void {
  describe('refuses, and keeps nothing of it', () => {
    let under: StoreUnderTest;
    let store: Store;
    const { newKey } = openKeys();

    async function expectNothing(key: string): Promise<void> {
      expect(await store.head(key)).toBeUndefined();
      expect(await under.leftovers()).toBe(0);
    }

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
    });

    test.each(['../up', 'a/../../up', '/rooted', 'a//b', 'a/./b', ''])('the key %j is refused', async (key) => {
      const refused = expect.objectContaining({ code: 'STORE_REJECTED' });
      await expect(store.put(key, pieces(randomBytes(1)), video)).rejects.toEqual(refused);
      await expect(store.get(key)).rejects.toEqual(refused);
      await expect(store.deleteMany([key])).rejects.toEqual(refused);
    });

    test.each([10, LARGE])('bytes that are not as announced leave nothing (%i)', async (length) => {
      const bytes = randomBytes(length);
      const key = newKey();
      const put = (source: Source, options: Partial<PutOptions> = {}) =>
        store.put(key, source, { ...video, ...options });
      const fails = (code: string) => expect.objectContaining({ code });
      await expect(put(pieces(bytes), { checksum: sha256(randomBytes(3)) })).rejects.toEqual(
        fails('CHECKSUM_MISMATCH'),
      );
      await expect(put(pieces(bytes, { size: length - 1 }))).rejects.toEqual(fails('SIZE_MISMATCH'));
      await expect(put(pieces(bytes, { size: length + 1 }))).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
      await expect(put(pieces(bytes), { maxSize: length - 1 })).rejects.toEqual(fails('TOO_LARGE'));
      await expect(put(pieces(bytes, { size: length }), { maxSize: length - 1 })).rejects.toEqual(fails('TOO_LARGE'));
      await expectNothing(key);
    });

    test('no bytes are refused', async () => {
      const key = newKey();
      const refused = expect.objectContaining({ code: 'EMPTY_FILE' });
      await expect(store.put(key, pieces(Buffer.alloc(0)), video)).rejects.toEqual(refused);
      await expect(store.put(key, pieces(Buffer.alloc(0), { size: 0 }), video)).rejects.toEqual(refused);
      await expectNothing(key);
    });

    test('a source that fails leaves nothing', async () => {
      const key = newKey();
      const failing: Source = {
        async open() {
          return Readable.from(
            (function* () {
              yield randomBytes(LARGE);
              throw new Error('disk on fire');
            })(),
          );
        },
      };
      const error = expect.objectContaining({ code: 'ORIGIN_UNREADABLE', message: expect.stringContaining('on fire') });
      await expect(store.put(key, failing, video)).rejects.toEqual(error);
      await expectNothing(key);
    });

    test('an aborted put rejects with the reason and leaves nothing', async () => {
      const key = newKey();
      const abort = new AbortController();
      const reason = new Error('enough');
      const source = pieces(randomBytes(LARGE));
      const options = { ...video, signal: abort.signal, onProgress: () => abort.abort(reason) };
      await expect(store.put(key, source, options)).rejects.toBe(reason);
      await expectNothing(key);
      await expect(store.put(key, source, options)).rejects.toBe(reason);
    });

    test('a put that waits for its source can be aborted', async () => {
      const key = newKey();
      const abort = new AbortController();
      const reason = new Error('enough');
      const silent: Source = { open: async () => new Readable({ read: () => abort.abort(reason) }) };
      await expect(store.put(key, silent, { ...video, signal: abort.signal })).rejects.toBe(reason);
      await expectNothing(key);
    });
  });
}
