import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';
import { pieces } from '#test/sources.ts';
import { openKeys, read, type StoreUnderTest, video } from './store-bench.ts';

/** Objects taken out of service. Part of the suite in `store.ts`. */
export function describeQuarantine(getUnderTest: () => StoreUnderTest): void {
  describe('quarantines', () => {
    let under: StoreUnderTest;
    let store: Store;
    const { newKey } = openKeys();

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
    });

    async function expectMoved(key: string, bytes: Buffer): Promise<void> {
      expect(await store.head(key)).toBeUndefined();
      expect((await store.list(key)).objects).toEqual([]);
      expect(await read(store, quarantineKey(key))).toEqual(bytes);
    }

    test('an object, with what is kept beside it', async () => {
      const bytes = randomBytes(1_000);
      const key = newKey('ünïcode 🎬.mp4');
      await store.put(key, pieces(bytes), { ...video, filename: 'Zoë.mp4' });
      expect(await store.quarantine(key)).toBe(true);
      await expectMoved(key, bytes);
      const facts = { contentType: 'video/mp4', filename: 'Zoë.mp4', size: 1_000 };
      expect(await store.head(quarantineKey(key))).toMatchObject(facts);
      expect(await store.quarantine(key)).toBe(false);
      await expectMoved(key, bytes);
    });

    test('nothing where there is nothing', async () => {
      expect(await store.quarantine(newKey())).toBe(false);
    });

    test('bytes that are not those once put', async () => {
      const [bytes, spoiled] = [randomBytes(1_000), randomBytes(1_000)];
      const key = newKey();
      await store.put(key, pieces(bytes), video);
      await under.spoilObject(key, spoiled);
      expect(await store.quarantine(key)).toBe(true);
      await expectMoved(key, spoiled);
    });

    test('what comes to the same key later, in place of what was quarantined before', async () => {
      const key = newKey();
      for (const bytes of [randomBytes(500), randomBytes(700)]) {
        await store.put(key, pieces(bytes), video);
        expect(await store.quarantine(key)).toBe(true);
        await expectMoved(key, bytes);
        expect(await store.head(quarantineKey(key))).toMatchObject({ size: bytes.length });
      }
    });

    test('and gives back by a copy', async () => {
      const bytes = randomBytes(1_000);
      const key = newKey();
      await store.put(key, pieces(bytes), video);
      await store.quarantine(key);
      await store.copy(quarantineKey(key), key, video);
      expect(await read(store, key)).toEqual(bytes);
    });
  });
}
