import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import type { PutOptions } from '#storage/store.ts';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces, sha256 } from '#test/sources.ts';
import type { TestBucket } from './bucket.ts';
import { ways } from './journal.ts';
import { type Intercept, type StoreProxy, startProxy } from './proxy.ts';

const MIB = 1024 ** 2;
/** Six parts of 5 MiB, the last one short. */
const LENGTH = 26 * MIB;
const video: PutOptions = { contentType: 'video/mp4' };

const partOf = (url: URL) => Number(url.searchParams.get('partNumber'));
const partsSent = ({ seen }: StoreProxy) => seen.map(({ url }) => partOf(url)).filter(Boolean);

/** What the S3 adapter does with multipart uploads, watched on the wire. */
export function describeMultipart(getBucket: () => TestBucket): void {
  describe('multipart uploads', () => {
    const bytes = randomBytes(LENGTH);
    const source = pieces(bytes, { size: LENGTH });
    const proxies: StoreProxy[] = [];
    const newKey = () => `multipart/${randomUUID()}`;

    const openUploads = async (key: string) => (await getBucket().openUploads()).filter((open) => open === key).length;

    async function through(intercept?: Intercept) {
      const proxy = await startProxy(getBucket().config.endpoint ?? '', intercept);
      proxies.push(proxy);
      return { proxy, store: getBucket().open({ endpoint: proxy.endpoint }) };
    }

    /** A put that broke off at its fifth part, as a crash would leave it. */
    async function brokenOff(key: string): Promise<ReturnType<typeof memoryJournal>> {
      const journal = memoryJournal();
      const { store } = await through(async (_, url, response) => {
        if (partOf(url) === 5) response.destroy();
        return partOf(url) === 5;
      });
      await expect(store.put(key, source, { ...video, journal })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(await openUploads(key)).toBe(1);
      return journal;
    }

    async function expectWhole(key: string): Promise<void> {
      const { body } = await getBucket().open().get(key);
      expect(sha256(await buffer(body))).toBe(sha256(bytes));
      expect(await openUploads(key)).toBe(0);
    }

    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

    test('parts may arrive in any order', async () => {
      const second = Promise.withResolvers<void>();
      const { proxy, store } = await through(async (_, url, response) => {
        if (partOf(url) === 2) response.once('finish', second.resolve);
        if (partOf(url) === 1) await second.promise;
        return false;
      });
      const key = newKey();
      const facts = await store.put(key, source, { ...video, journal: memoryJournal() });
      expect(facts).toMatchObject({ checksum: sha256(bytes), verifiedBy: 'etag' });
      expect(partsSent(proxy).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
      await expectWhole(key);
    });

    test('one whose beginning was answered to nobody is dropped once the file is stored', async () => {
      let begun = 0;
      const { store } = await through(async ({ method, headers }, url, response) => {
        if (method !== 'POST' || !url.searchParams.has('uploads') || begun++ > 0) return false;
        const [answer] = await once(request(url, { method, headers }).end(), 'response');
        await text(answer);
        response.destroy();
        return true;
      });
      const key = newKey();
      await store.put(key, source, { ...video, journal: memoryJournal() });
      expect(begun).toBe(2);
      await expectWhole(key);
    });

    test('another process goes on where one broke off, and sends only what is missing', async () => {
      const key = newKey();
      const journal = await brokenOff(key);
      const kept = Object.keys(journal.fields).filter((field) => field.startsWith('part:'));
      expect(kept.length).toBeGreaterThanOrEqual(1);
      const { proxy, store } = await through();
      const progress: number[] = [];
      const options = { ...video, journal, onProgress: (done: number) => progress.push(done) };
      expect(await store.put(key, source, options)).toMatchObject({ checksum: sha256(bytes), size: LENGTH });
      const missing = [1, 2, 3, 4, 5, 6].filter((number) => !kept.includes(`part:${number}`));
      expect(partsSent(proxy).toSorted()).toEqual(missing);
      const sent = proxy.seen.reduce((sum, request) => sum + request.bytes, 0);
      expect(sent).toBeLessThan(LENGTH - (kept.length - 1) * 5 * MIB);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      expect(progress.at(-1)).toBe(LENGTH);
      await expectWhole(key);
    });

    test('a part whose source changed is sent again', async () => {
      const key = newKey();
      const journal = await brokenOff(key);
      const changed = Buffer.from(bytes);
      changed.writeUInt8((changed.readUInt8(0) + 1) % 256, 0);
      const { proxy, store } = await through();
      const facts = await store.put(key, pieces(changed, { size: LENGTH }), { ...video, journal });
      expect(facts.checksum).toBe(sha256(changed));
      expect(partsSent(proxy)).toContain(1);
    });

    test('an upload that is abandoned by another process leaves nothing, and a second time is fine', async () => {
      const key = newKey();
      const journal = await brokenOff(key);
      const store = getBucket().open();
      await store.abandon(newKey(), journal);
      expect(await openUploads(key)).toBe(1);
      await store.abandon(key, journal);
      expect(await openUploads(key)).toBe(0);
      await store.abandon(key, journal);
      await store.abandon(newKey(), memoryJournal());
    });

    test('an upload that vanished starts anew', async () => {
      const key = newKey();
      const journal = await brokenOff(key);
      const cancelled = new AppError('CANCELLED', 'It was cancelled.');
      const abort = new AbortController();
      const options = { ...video, journal, signal: abort.signal, onProgress: () => abort.abort(cancelled) };
      await expect(getBucket().open().put(key, source, options)).rejects.toBe(cancelled);
      expect(await openUploads(key)).toBe(0);
      const { proxy, store } = await through();
      await store.put(key, source, { ...video, journal });
      expect(partsSent(proxy).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
      await expectWhole(key);
    });

    test('a shutdown and a refused journal leave the parts to whoever goes on', async () => {
      const key = newKey();
      const journal = memoryJournal();
      const abort = new AbortController();
      const parked = new Error('parked');
      const options = { ...video, journal, signal: abort.signal, onProgress: () => abort.abort(parked) };
      await expect(getBucket().open().put(key, source, options)).rejects.toBe(parked);
      expect(await openUploads(key)).toBe(1);
      const lost = new AppError('CONFLICT', 'The job is another worker’s now.');
      const refusing = { ...video, journal: { ...journal, write: () => Promise.reject(lost) } };
      await expect(getBucket().open().put(key, source, refusing)).rejects.toBe(lost);
      expect(await openUploads(key)).toBe(1);
      await getBucket()
        .open()
        .put(key, source, { ...video, journal });
      await expectWhole(key);
      const unknown = newKey();
      const none = { ...video, journal: { ...memoryJournal(), write: () => Promise.reject(lost) } };
      await expect(getBucket().open().put(unknown, source, none)).rejects.toBe(lost);
      expect(await openUploads(unknown)).toBe(0);
    });

    test.each(ways)('%s: the lost answer to a completion is no failure', async (_, way) => {
      let lost = 0;
      const { store } = await through(async (request, url, response) => {
        if (request.method === 'POST' && url.searchParams.has('uploadId') && lost++ === 0) {
          response.writeHead = () => response.destroy();
        }
        return false;
      });
      const key = newKey();
      expect(await store.put(key, source, { ...video, ...way() })).toMatchObject({ checksum: sha256(bytes) });
      expect(lost).toBe(2);
      await expectWhole(key);
    });

    test('more bytes than the parts of an upload hold are too many, unless their number is known', async () => {
      const key = newKey();
      const store = getBucket().open({}, { parts: 4 });
      const refused = { code: 'TOO_LARGE', message: expect.stringContaining(`${20 * MIB} bytes`) };
      await expect(store.put(key, pieces(bytes), video)).rejects.toMatchObject(refused);
      expect(await store.head(key)).toBeUndefined();
      expect(await openUploads(key)).toBe(0);
      await store.put(key, source, video);
      expect(await store.head(key)).toMatchObject({ etag: expect.stringContaining('-4"') });
      await expectWhole(key);
    });

    test('the error of the source outlives a store that drops no parts', async () => {
      const { proxy, store } = await through(async ({ method }, url, response) => {
        const drops = method === 'DELETE' && url.searchParams.has('uploadId');
        if (drops) response.writeHead(403).end();
        return drops;
      });
      const options = { ...video, checksum: sha256(Buffer.from('other')) };
      await expect(store.put(newKey(), pieces(bytes), options)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
      expect(proxy.seen.map(({ method }) => method)).toContain('DELETE');
    });

    test('an abort ends the part on its way', async () => {
      const key = newKey();
      const abort = new AbortController();
      const reason = new Error('enough');
      const { store } = await through(async (_, url) => {
        if (partOf(url) === 2) abort.abort(reason);
        return partOf(url) === 2;
      });
      await expect(store.put(key, pieces(bytes), { ...video, signal: abort.signal })).rejects.toBe(reason);
      expect(await openUploads(key)).toBe(0);
    });

    test('what one request cannot copy is copied by parts', async () => {
      const [from, to] = [newKey(), newKey()];
      const store = getBucket().open({}, { copySize: 6 * MIB, copyPartSize: 5 * MIB });
      await store.put(from, source, video);
      expect(await store.copy(from, to, { contentType: 'video/webm' })).toEqual(
        expect.objectContaining({ s3Key: to, size: LENGTH, checksum: sha256(bytes), verifiedBy: 'readback' }),
      );
      expect(await store.head(to)).toMatchObject({ contentType: 'video/webm', etag: expect.stringContaining('-6"') });
      await expectWhole(to);
    });
  });
}
