import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PutOptions, Source } from '#storage/store.ts';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { rawClient, type TestBucket } from './bucket.ts';
import { type Intercept, type StoreProxy, startProxy } from './proxy.ts';

const MIB = 1024 ** 2;
/** Four parts of 5 MiB, the last one short. */
const LENGTH = 17 * MIB;
const video: PutOptions = { contentType: 'video/mp4' };

const partOf = (url: URL) => Number(url.searchParams.get('partNumber'));
const partsSent = ({ seen }: StoreProxy) =>
  seen
    .map(({ url }) => partOf(url))
    .filter(Boolean)
    .toSorted();
const joins = (method: string | undefined, url: URL) => method === 'POST' && url.searchParams.has('uploadId');

/** How the S3 adapter goes on with what another process began. */
export function describeResumption(getBucket: () => TestBucket): void {
  describe('puts and copies that broke off', () => {
    const bytes = randomBytes(LENGTH);
    const source = pieces(bytes, { size: LENGTH });
    const unread: Source = { size: LENGTH, open: () => Promise.reject(new Error('It is not to be read again.')) };
    const proxies: StoreProxy[] = [];
    const newKey = () => `resumption/${randomUUID()}`;
    let client: ReturnType<typeof rawClient>;

    const uploadsOf = async (key: string) => (await getBucket().open().listUploads(key)).uploads;

    async function through(intercept?: Intercept) {
      const proxy = await startProxy(getBucket().config.endpoint ?? '', intercept);
      proxies.push(proxy);
      return {
        proxy,
        store: getBucket().open({ endpoint: proxy.endpoint }, { copySize: 6 * MIB, copyPartSize: 5 * MIB }),
      };
    }

    /** A put whose process died in the moment that `dies` names; nothing it sent then was answered. */
    async function brokenOff(key: string, dies: (method: string | undefined, url: URL) => boolean) {
      const journal = memoryJournal();
      const crash = new AbortController();
      const crashed = new Error('crashed');
      const { store } = await through(async ({ method }, url, response) => {
        if (!dies(method, url)) return false;
        // The request goes through; its answer finds nobody.
        response.writeHead = () => {
          crash.abort(crashed);
          return response.destroy();
        };
        return false;
      });
      const put = store.put(key, source, { ...video, journal, signal: crash.signal });
      await expect(put).rejects.toBe(crashed);
      return journal;
    }

    async function expectWhole(key: string, expected = bytes): Promise<void> {
      const { body } = await getBucket().open().get(key);
      expect(sha256(await buffer(body))).toBe(sha256(expected));
      expect(await uploadsOf(key)).toEqual([]);
    }

    beforeAll(() => {
      client = rawClient(getBucket().config);
    });
    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));
    afterAll(() => client.destroy());

    test('an upload that was joined, and whose process died before it heard so, is recognised unread', async () => {
      const key = newKey();
      const journal = await brokenOff(key, joins);
      // Begun by a start before, that died before it could note it.
      await client.send(new CreateMultipartUploadCommand({ Bucket: getBucket().config.bucket, Key: key }));
      const { proxy, store } = await through();
      const progress: number[] = [];
      const options = { ...video, journal, onProgress: (done: number) => progress.push(done) };
      const facts = await store.put(key, unread, options);
      expect(facts).toMatchObject({ size: LENGTH, checksum: sha256(bytes), verifiedBy: 'etag' });
      expect(partsSent(proxy)).toEqual([]);
      expect(progress).toEqual([LENGTH]);
      await expectWhole(key);
    });

    test('one that was joined and whose object is gone or another by now starts anew at once', async () => {
      const key = newKey();
      const journal = await brokenOff(key, joins);
      const { store } = await through();
      await store.put(key, pieces(randomBytes(9)), video);
      await store.put(key, source, { ...video, journal });
      await expectWhole(key);
      await store.deleteMany([key]);
      await store.put(key, source, { ...video, journal });
      await expectWhole(key);
    });

    test('parking lets the parts on their way come to their end', async () => {
      const key = newKey();
      const journal = memoryJournal();
      const park = new AbortController();
      const parked = new Error('parked');
      const { proxy, store } = await through(async (_, url) => {
        if (partOf(url) === 1) park.abort(parked);
        return false;
      });
      const put = store.put(key, source, { ...video, journal, park: park.signal });
      await expect(put).rejects.toBe(parked);
      const noted = Object.keys(journal.fields).filter((field) => field.startsWith('part:'));
      expect(noted).toContain('part:1');
      expect(noted).toHaveLength(partsSent(proxy).length);
      const next = await through();
      await next.store.put(key, source, { ...video, journal });
      expect(partsSent(next.proxy)).toHaveLength(4 - noted.length);
      await expectWhole(key);
    });

    test('an upload that was begun and noted by nobody ends with the put that is abandoned', async () => {
      const key = newKey();
      const { bucket: Bucket } = getBucket().config;
      for (const Key of [key, `${key}.other`]) await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const store = getBucket().open();
      await store.abandon(key, memoryJournal());
      const left = await uploadsOf(key);
      expect(left).toMatchObject([{ key: `${key}.other` }]);
      for (const upload of left) await store.abortUpload(upload);
      for (const upload of left) await store.abortUpload(upload);
      expect(await uploadsOf(key)).toEqual([]);
    });

    test('a copy by parts goes on where it broke off, or ends with what it was for', async () => {
      const [from, to] = [newKey(), newKey()];
      await getBucket().open().put(from, source, video);
      const journal = memoryJournal();
      const park = new AbortController();
      const parked = new Error('parked');
      const { store } = await through(async (_, url) => {
        if (partOf(url) === 1) park.abort(parked);
        return false;
      });
      await expect(store.copy(from, to, { ...video, journal, park: park.signal })).rejects.toBe(parked);
      expect(await uploadsOf(to)).toHaveLength(1);
      const next = await through();
      expect(await next.store.copy(from, to, { ...video, journal })).toMatchObject({ checksum: sha256(bytes) });
      expect(partsSent(next.proxy)).not.toContain(1);
      await expectWhole(to);

      const other = newKey();
      await expect(store.copy(from, other, { ...video, journal, park: park.signal })).rejects.toBe(parked);
      await store.abandon(other, journal);
      expect(await uploadsOf(other)).toEqual([]);
    });
  });
}
