import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareKeys } from '#storage/disk-list.ts';
import type { PutOptions, Store } from '#storage/store.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { describeRefusals } from './store-refusals.ts';

/** An adapter at work, and what only it knows. */
export interface StoreUnderTest {
  readonly store: Store;
  /** The same store, with a clock two minutes behind. */
  readonly behind: Store;
  /** Unfinished business: temporary files, open multipart uploads. */
  leftovers(): Promise<number>;
  /** Fetches a signed URL, as a browser would; no bytes when it is refused. */
  fetch(url: string, range?: string): Promise<{ status: number; bytes: Buffer }>;
  close(): Promise<void>;
}

const MIB = 1024 ** 2;
/** More than three parts of S3's least size, with a short one at the end. */
const LARGE = 17 * MIB + 123;
const video: PutOptions = { contentType: 'video/mp4' };

/** The suite of the port `Store`; each adapter runs it. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the promises of the store port`, () => {
    let under: StoreUnderTest;
    let store: Store;
    const prefix = `contract/${randomUUID()}/`;
    const newKey = (filename = 'clip.mp4') => `${prefix}${randomUUID()}/${filename}`;

    async function read(key: string, range?: { start: number; end: number }): Promise<Buffer> {
      const { body } = await store.get(key, range ? { range } : {});
      return buffer(body);
    }

    beforeAll(async () => {
      under = await open();
      store = under.store;
    });
    afterAll(() => under.close());

    describeRefusals(() => under);

    test('reading that is aborted while it begins rejects with the reason', async () => {
      const key = newKey();
      await store.put(key, pieces(randomBytes(1_000)), video);
      const reason = new Error('not wanted any more');
      const abort = new AbortController();
      const reading = store.get(key, { signal: abort.signal });
      abort.abort(reason);
      await expect(reading).rejects.toBe(reason);
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
      expect(sha256(await read(key))).toBe(sha256(bytes));
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
      expect(await read(key)).toEqual(bytes);
    });

    test('puts of one key at once are harmless', async () => {
      const bytes = randomBytes(LARGE);
      const key = newKey();
      await Promise.all(Array.from({ length: 3 }, () => store.put(key, pieces(bytes, { size: LARGE }), video)));
      expect(sha256(await read(key))).toBe(sha256(bytes));
      expect(await under.leftovers()).toBe(0);
    });

    test('ranges are inclusive and cut at the end', async () => {
      const bytes = randomBytes(1000);
      const key = newKey();
      await store.put(key, pieces(bytes), video);
      expect(await read(key, { start: 0, end: 0 })).toEqual(bytes.subarray(0, 1));
      expect(await read(key, { start: 999, end: 999 })).toEqual(bytes.subarray(999));
      expect(await read(key, { start: 990, end: 5000 })).toEqual(bytes.subarray(990));
      const { info, body } = await store.get(key, { range: { start: 5, end: 9 } });
      expect(info.size).toBe(1000);
      expect(await buffer(body)).toEqual(bytes.subarray(5, 10));
      for (const range of [
        { start: 1000, end: 1001 },
        { start: 5, end: 4 },
      ]) {
        await expect(read(key, range)).rejects.toMatchObject({ code: 'RANGE_NOT_SATISFIABLE' });
      }
    });

    test('what is not there is said so', async () => {
      expect(await store.head(newKey())).toBeUndefined();
      await expect(store.get(newKey())).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(store.copy(newKey(), newKey(), video)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await store.deleteMany([newKey()]);
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
      expect(sha256(await read(to))).toBe(sha256(bytes));
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

    test('a large put takes little memory', async () => {
      const chunk = randomBytes(MIB);
      const size = 512 * MIB;
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

    test('says that it can be written to', async () => {
      await store.check();
      expect(await under.leftovers()).toBe(0);
    });
  });
}
