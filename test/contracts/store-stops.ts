import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import type { PutOptions, Source, Store } from '#storage/store.ts';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { allUploads, breakOff, openKeys, read, type StoreUnderTest, video } from './store-bench.ts';

/** How a put that could be gone on with is stopped, for a while or for good. Part of the suite in `store.ts`. */
export function describeStops(getUnderTest: () => StoreUnderTest): void {
  describe('stops a put that can be gone on with', () => {
    let under: StoreUnderTest;
    let store: Store;
    let bytes: Buffer;
    const { newKey } = openKeys();
    const parked = new Error('parked');

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
      bytes = randomBytes(4 * under.partSize + 123);
    });

    const openAt = async (key: string) => (await allUploads(store, key)).length;

    async function goOn(key: string, journal: PutOptions['journal'], whole = bytes): Promise<void> {
      await store.put(key, pieces(whole), { ...video, journal });
      expect(sha256(await read(store, key))).toBe(sha256(whole));
      expect(await openAt(key)).toBe(0);
    }

    test('parked, it begins no further part and notes those under way', async () => {
      const key = newKey();
      const journal = memoryJournal();
      const park = new AbortController();
      let done = 0;
      const onProgress = (now: number) => {
        done = now;
        park.abort(parked);
      };
      const options = { ...video, journal, park: park.signal, onProgress };
      // More than travel at once.
      const long = randomBytes(8 * under.partSize);
      const handedOut = countedPieces(long);
      await expect(store.put(key, handedOut.source, options)).rejects.toBe(parked);
      expect(handedOut.count()).toBeLessThan(long.length);
      expect(done % under.partSize).toBe(0);
      expect(await openAt(key)).toBe(1);
      const before = await under.bytesSent();
      await goOn(key, journal, long);
      expect((await under.bytesSent()) - before).toBeLessThan(long.length - done + 256 * 1024);
    });

    test('parked while it waits for its source, it stops at once', async () => {
      const key = newKey();
      const park = new AbortController();
      const silent: Source = { open: async () => new Readable({ read: () => park.abort(parked) }) };
      const options = { ...video, journal: memoryJournal(), park: park.signal };
      await expect(store.put(key, silent, options)).rejects.toBe(parked);
      expect(await openAt(key)).toBe(0);
    });

    test('parked before it began, it begins nothing', async () => {
      const key = newKey();
      const options = { ...video, journal: memoryJournal(), park: AbortSignal.abort(parked) };
      await expect(store.put(key, pieces(bytes), options)).rejects.toBe(parked);
      expect(await openAt(key)).toBe(0);
    });

    test('a shutdown leaves what was done to whoever goes on', async () => {
      const key = newKey();
      const journal = memoryJournal();
      await breakOff(store, key, pieces(bytes), { journal, after: 1 });
      expect(await openAt(key)).toBe(1);
      await goOn(key, journal);
    });

    test('a job that was lost leaves what was done to its new owner', async () => {
      const key = newKey();
      const journal = memoryJournal();
      await breakOff(store, key, pieces(bytes), { journal, after: 1 });
      const lost = new AppError('CONFLICT', 'The job is another worker’s now.');
      const refusing = { ...journal, write: () => Promise.reject(lost) };
      await expect(store.put(key, pieces(bytes), { ...video, journal: refusing })).rejects.toBe(lost);
      expect(await openAt(key)).toBe(1);
      await goOn(key, journal);
      const unknown = newKey();
      const none = { ...memoryJournal(), write: () => Promise.reject(lost) };
      await expect(store.put(unknown, pieces(bytes), { ...video, journal: none })).rejects.toBe(lost);
      expect(await openAt(unknown)).toBe(0);
    });

    test('a source that fails for now leaves what was done', async () => {
      const key = newKey();
      const journal = memoryJournal();
      const failing: Source = {
        open: async () =>
          Readable.from(
            (function* () {
              yield bytes.subarray(0, 3 * under.partSize);
              throw new AppError('ORIGIN_UNREADABLE', 'The origin hung up.');
            })(),
          ),
      };
      const failure = { code: 'ORIGIN_UNREADABLE' };
      await expect(store.put(key, failing, { ...video, journal })).rejects.toMatchObject(failure);
      expect(await openAt(key)).toBe(1);
      await goOn(key, journal);
    });

    test('what is cancelled leaves nothing', async () => {
      const key = newKey();
      const cancelled = new AppError('CANCELLED', 'It was cancelled.');
      const abort = new AbortController();
      const options = { ...video, journal: memoryJournal(), signal: abort.signal };
      const put = store.put(key, pieces(bytes), { ...options, onProgress: () => abort.abort(cancelled) });
      await expect(put).rejects.toBe(cancelled);
      expect(await openAt(key)).toBe(0);
      expect(await store.head(key)).toBeUndefined();
    });

    test('bytes that are not those announced leave nothing, nor does what was begun before', async () => {
      const key = newKey();
      const journal = memoryJournal();
      await breakOff(store, key, pieces(bytes), { journal, after: 1 });
      const options = { ...video, journal, checksum: sha256(randomBytes(3)) };
      await expect(store.put(key, pieces(bytes), options)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
      expect(await openAt(key)).toBe(0);
      expect(await store.head(key)).toBeUndefined();
    });

    test('what is abandoned leaves nothing, and a second time is fine', async () => {
      const key = newKey();
      const journal = memoryJournal();
      await breakOff(store, key, pieces(bytes), { journal, after: 1 });
      await store.abandon(newKey(), journal);
      expect(await openAt(key)).toBe(1);
      await store.abandon(key, journal);
      expect(await openAt(key)).toBe(0);
      await store.abandon(key, journal);
      await store.abandon(newKey(), memoryJournal());
      await goOn(key, journal);
    });
  });
}

/** A source that tells how many bytes were taken from it. */
function countedPieces(bytes: Buffer): { source: Source; count(): number } {
  let taken = 0;
  function* cut(offset: number) {
    for (let at = offset; at < bytes.length; at += 65_536) {
      const piece = bytes.subarray(at, at + 65_536);
      taken += piece.length;
      yield piece;
    }
  }
  return { source: { size: bytes.length, open: async (offset) => Readable.from(cut(offset)) }, count: () => taken };
}
