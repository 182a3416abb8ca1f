import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { OpenUpload, Store } from '#storage/store.ts';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { allUploads, breakOff, openKeys, read, type StoreUnderTest, video } from './store-bench.ts';

/** What protocols add to the bytes of a put. */
const PROTOCOL = 256 * 1024;

/** A put that another process goes on with. Part of the suite in `store.ts`. */
export function describeResuming(getUnderTest: () => StoreUnderTest): void {
  describe('goes on with a put that broke off', () => {
    let under: StoreUnderTest;
    let store: Store;
    let bytes: Buffer;
    const { newKey } = openKeys();

    beforeAll(() => {
      under = getUnderTest();
      store = under.store;
      bytes = randomBytes(4 * under.partSize + 123);
    });

    async function sentBy(work: () => Promise<unknown>): Promise<number> {
      const before = await under.bytesSent();
      await work();
      return (await under.bytesSent()) - before;
    }

    async function expectWhole(key: string, whole = bytes): Promise<void> {
      expect(sha256(await read(store, key))).toBe(sha256(whole));
      expect(await store.head(key)).toMatchObject({ size: whole.length });
      expect(await allUploads(store, key)).toEqual([]);
    }

    /** An upload of which the store holds all full parts. */
    async function nearlyDone(key: string) {
      const journal = memoryJournal();
      await breakOff(store, key, pieces(bytes), { journal, after: 4 * under.partSize });
      const [upload] = await allUploads(store, key);
      return { journal, upload: upload as OpenUpload };
    }

    test.each([
      ['known', () => bytes.length],
      ['unknown', () => undefined],
    ])('a source of %s length: only what is missing is sent', async (_, size) => {
      const key = newKey();
      const journal = memoryJournal();
      const source = pieces(bytes, { size: size() });
      const done = await breakOff(store, key, source, { journal, after: 2 * under.partSize });
      expect(await store.head(key)).toBeUndefined();
      const progress: number[] = [];
      const onProgress = (now: number) => progress.push(now);
      const sent = await sentBy(async () =>
        expect(await store.put(key, source, { ...video, journal, checksum: sha256(bytes), onProgress })).toMatchObject({
          ...{ s3Key: key, size: bytes.length, checksum: sha256(bytes) },
        }),
      );
      expect(sent).toBeLessThan(bytes.length - done + PROTOCOL);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      expect(progress.at(-1)).toBe(bytes.length);
      await expectWhole(key);
    });

    test('a put that came to its end and could not say so is recognised', async () => {
      const key = newKey();
      const journal = memoryJournal();
      const first = await store.put(key, pieces(bytes), { ...video, journal });
      const sent = await sentBy(async () => {
        const { s3Key, size, checksum } = await store.put(key, pieces(bytes), { ...video, journal });
        expect({ s3Key, size, checksum }).toEqual({ s3Key: key, size: first.size, checksum: first.checksum });
      });
      expect(sent).toBeLessThan(PROTOCOL);
      await expectWhole(key);
    });

    test('a source that changed in between is stored as it is now', async () => {
      const key = newKey();
      const { journal } = await nearlyDone(key);
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(under.partSize) ^ 1, under.partSize);
      await store.put(key, pieces(changed), { ...video, journal, checksum: sha256(changed) });
      await expectWhole(key, changed);
    });

    test('a source that became shorter is stored as it is now', async () => {
      const key = newKey();
      const { journal } = await nearlyDone(key);
      const shorter = bytes.subarray(0, 2 * under.partSize);
      await store.put(key, pieces(shorter), { ...video, journal });
      await expectWhole(key, shorter);
    });

    test('a flipped byte in a part that the store holds is noticed', async () => {
      const key = newKey();
      const { journal, upload } = await nearlyDone(key);
      const flipped = Buffer.from(bytes.subarray(under.partSize, 2 * under.partSize));
      flipped.writeUInt8(flipped.readUInt8(77) ^ 1, 77);
      await under.spoilPart(upload, 2, flipped);
      await store.put(key, pieces(bytes), { ...video, journal });
      await expectWhole(key);
    });

    test('a truncated part is sent again', async () => {
      const key = newKey();
      const { journal, upload } = await nearlyDone(key);
      await under.spoilPart(upload, 4, bytes.subarray(3 * under.partSize, 4 * under.partSize - 1_000));
      const sent = await sentBy(() => store.put(key, pieces(bytes), { ...video, journal }));
      expect(sent).toBeGreaterThan(under.partSize);
      expect(sent).toBeLessThan(under.partSize + PROTOCOL);
      await expectWhole(key);
    });

    test('an upload that vanished starts anew', async () => {
      const key = newKey();
      const { journal, upload } = await nearlyDone(key);
      await store.abortUpload(upload);
      const sent = await sentBy(() => store.put(key, pieces(bytes), { ...video, journal }));
      expect(sent).toBeGreaterThanOrEqual(bytes.length);
      await expectWhole(key);
    });

    test('a journal of which a crash left half a line starts anew', async () => {
      const key = newKey();
      const { journal, upload } = await nearlyDone(key);
      journal.fields.upload = journal.fields.upload?.slice(0, 20) ?? '';
      await store.put(key, pieces(bytes), { ...video, journal });
      await store.abortUpload(upload);
      await expectWhole(key);
    });

    test('two processes that go on with it at once are harmless', async () => {
      const key = newKey();
      const { journal } = await nearlyDone(key);
      const puts = [1, 2].map(() => store.put(key, pieces(bytes), { ...video, journal }));
      const ends = await Promise.allSettled(puts);
      // One of them may find the upload ended by the other; its next try finds the object.
      expect(ends.map(({ status }) => status)).toContain('fulfilled');
      await store.put(key, pieces(bytes), { ...video, journal });
      await expectWhole(key);
    });
  });
}
