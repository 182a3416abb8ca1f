import { randomBytes, randomUUID } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectLock } from '#domain';
import { pieces } from '#test/sources.ts';
import type { TestBucket } from './bucket.ts';
import { ways } from './journal.ts';
import { type StoreProxy, startProxy } from './proxy.ts';

const MIB = 1024 ** 2;
const text = { contentType: 'text/plain' };
const HOUR = 3_600_000;

/** Object Lock, on a bucket that has it and on one that has not. */
export function describeLocks(getBucket: () => TestBucket): void {
  describe('locks', () => {
    const Bucket = `locked-${randomUUID()}`;
    const proxies: StoreProxy[] = [];
    let client: S3Client;
    const newKey = () => `locks/${randomUUID()}`;
    const locked = (mode: ObjectLock['mode'] = 'GOVERNANCE') => ({ mode, until: Date.now() + HOUR + 500 });

    beforeAll(async () => {
      const { endpoint = '', region } = getBucket().config;
      client = new S3Client({ endpoint, region, forcePathStyle: true });
      await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
    });
    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));
    afterAll(() => client.destroy());

    async function expectLocked(key: string, lock: ObjectLock, VersionId: string | undefined) {
      const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket, Key: key }));
      expect(Retention?.Mode).toBe(lock.mode);
      expect(Retention?.RetainUntilDate?.getTime()).toBe(Math.ceil(lock.until / 1000) * 1000);
      const deletion = client.send(new DeleteObjectCommand({ Bucket, Key: key, VersionId }));
      await expect(deletion).rejects.toMatchObject({ name: 'AccessDenied' });
      await client.send(new HeadObjectCommand({ Bucket, Key: key, VersionId }));
    }

    const cases = ways.flatMap(([name, way]) => [100, 12 * MIB].map((length) => [name, length, way] as const));
    test.each(cases)('%s, %i bytes: the store confirms the lock and keeps it', async (...given) => {
      const [, length, way] = given;
      const store = getBucket().open({ bucket: Bucket });
      const [key, copied] = [newKey(), newKey()];
      const lock = locked();
      const confirmed = { lock: { mode: lock.mode, until: Math.ceil(lock.until / 1000) * 1000 } };
      const stored = await store.put(key, pieces(randomBytes(length)), { ...text, ...way(), lock });
      expect(stored).toMatchObject(confirmed);
      await expectLocked(key, lock, stored.versionId);
      const copy = await store.copy(key, copied, { ...text, lock });
      expect(copy).toMatchObject(confirmed);
      await expectLocked(copied, lock, copy.versionId);
    });

    test('of mode COMPLIANCE too, and none where none was asked for', async () => {
      const store = getBucket().open({ bucket: Bucket });
      const lock = locked('COMPLIANCE');
      expect(await store.put(newKey(), pieces(randomBytes(9)), { ...text, lock })).toMatchObject({
        lock: { mode: 'COMPLIANCE' },
      });
      expect((await store.put(newKey(), pieces(randomBytes(9)), text)).lock).toBeUndefined();
    });

    test('one that ended while its file waited asks for nothing', async () => {
      const lock = { mode: 'GOVERNANCE', until: Date.now() - 1 } as const;
      const stored = await getBucket()
        .open()
        .put(newKey(), pieces(randomBytes(9)), { ...text, lock });
      expect(stored.lock).toBeUndefined();
    });

    test.each(ways)('%s: a bucket without Object Lock takes no locked object', async (_, way) => {
      const store = getBucket().open();
      expect(await store.canLock()).toBe(false);
      expect(await getBucket().open({ bucket: Bucket }).canLock()).toBe(true);
      const [key, from] = [newKey(), newKey()];
      const options = { ...text, ...way(), lock: locked() };
      const refused = { code: 'LOCK_NOT_APPLIED' };
      await expect(store.put(key, pieces(randomBytes(9)), options)).rejects.toMatchObject(refused);
      await store.put(from, pieces(randomBytes(9)), text);
      await expect(store.copy(from, key, options)).rejects.toMatchObject(refused);
      expect(await store.head(key)).toBeUndefined();
    });

    test.each(ways)('%s: an object whose lock the store does not show is not readable', async (_, way) => {
      const proxy = await startProxy(getBucket().config.endpoint ?? '', async ({ method }, __, response) => {
        const writeHead = response.writeHead.bind(response);
        const silent = (status: number, headers: Record<string, string>) =>
          writeHead(
            status,
            Object.fromEntries(Object.entries(headers).filter(([name]) => !name.includes('object-lock'))),
          );
        if (method === 'HEAD') response.writeHead = silent as typeof response.writeHead;
        return false;
      });
      proxies.push(proxy);
      const store = getBucket().open({ bucket: Bucket, endpoint: proxy.endpoint });
      const key = newKey();
      const put = store.put(key, pieces(randomBytes(9)), { ...text, ...way(), lock: locked() });
      await expect(put).rejects.toMatchObject({ code: 'LOCK_NOT_APPLIED' });
      expect(await getBucket().open({ bucket: Bucket }).head(key)).toBeUndefined();
    });
  });
}
