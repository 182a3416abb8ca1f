import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { S3Config } from '#config';
import { quarantineKey } from '#storage/keys.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { rawClient, type TestBucket } from './bucket.ts';
import { ways } from './journal.ts';
import { type Intercept, type StoreProxy, startProxy } from './proxy.ts';

const MIB = 1024 ** 2;
const text = { contentType: 'text/plain' };
const modes: readonly S3Config['checksumMode'][] = ['WHEN_REQUIRED', 'WHEN_SUPPORTED'];

/** Another byte in the middle. */
function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(bytes.length / 2);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

/** What becomes of bytes that are not those that were sent. */
export function describeWrongBytes(getBucket: () => TestBucket): void {
  describe('wrong bytes', () => {
    const proxies: StoreProxy[] = [];
    const newKey = () => `wrong/${randomUUID()}/clip.mp4`;
    let client: ReturnType<typeof rawClient>;

    async function through(changes: Partial<S3Config>, intercept?: Intercept, onBody?: (chunk: Buffer) => Buffer) {
      const proxy = await startProxy(getBucket().config.endpoint ?? '', intercept, onBody);
      proxies.push(proxy);
      return getBucket().open({ ...changes, endpoint: proxy.endpoint });
    }

    /** The bytes at a key, undefined when there are none. */
    async function held(key: string): Promise<Buffer | undefined> {
      const store = getBucket().open();
      return (await store.head(key)) && buffer((await store.get(key)).body);
    }

    beforeAll(() => {
      client = rawClient(getBucket().config);
    });
    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));
    afterAll(() => client.destroy());

    const cases = modes.flatMap((checksumMode) =>
      ways.flatMap(([name, way]) => [100, 12 * MIB].map((size) => ({ checksumMode, name, way, size }))),
    );

    test.each(cases)('$checksumMode, $name, $size bytes: a byte flipped on its way is sent again', async (one) => {
      const bytes = randomBytes(one.size);
      let flips = 0;
      const store = await through({ checksumMode: one.checksumMode }, undefined, (chunk) => {
        // Not in what the adapter sends to find out what the store can do.
        const isOurs = bytes.includes(chunk.subarray(-50));
        if (!isOurs || flips > 0) return chunk;
        flips += 1;
        return Buffer.concat([chunk.subarray(0, -1), flipped(chunk.subarray(-1))]);
      });
      const key = newKey();
      const options = { ...text, ...one.way() };
      await expect(store.put(key, pieces(bytes), options)).rejects.toMatchObject({
        code: expect.stringMatching(/^STORE_(FAILED|UNAVAILABLE)$/),
      });
      expect(flips).toBe(1);
      expect(await held(key)).toBeUndefined();
      expect(await store.put(key, pieces(bytes), options)).toMatchObject({ checksum: sha256(bytes) });
      expect(sha256((await held(key)) as Buffer)).toBe(sha256(bytes));
      expect(await getBucket().openUploads()).not.toContain(key);
    });

    test.each(cases)('$checksumMode, $name, $size bytes: a byte flipped at rest is evidence', async (one) => {
      const bytes = randomBytes(one.size);
      const key = newKey();
      let spoiled = false;
      const store = await through({ checksumMode: one.checksumMode }, async ({ method }, url) => {
        // The first that the adapter asks of the object, once all of it is stored.
        if (method === 'HEAD' && decodeURIComponent(url.pathname).endsWith(key) && !spoiled) {
          spoiled = true;
          const { bucket: Bucket } = getBucket().config;
          await client.send(new PutObjectCommand({ Bucket, Key: key, Body: flipped(bytes), ...evidence }));
        }
        return false;
      });
      const evidence = { ContentType: 'text/plain', Metadata: { who: 'Zo%C3%AB' } };
      const put = store.put(key, pieces(bytes), { ...text, ...one.way() });
      await expect(put).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH', details: { quarantined: true } });
      expect(await held(key)).toBeUndefined();
      expect(sha256((await held(quarantineKey(key))) as Buffer)).toBe(sha256(flipped(bytes)));
    });

    test('an announced checksum that is another leaves nothing, not even in quarantine', async () => {
      const [key, to] = [newKey(), newKey()];
      const store = getBucket().open();
      const bytes = randomBytes(6 * MIB);
      const options = { ...text, checksum: sha256(Buffer.from('other')) };
      const { details } = await store.put(key, pieces(bytes), options).catch((error) => error);
      expect(details.quarantined).toBeUndefined();
      await store.put(key, pieces(bytes), text);
      await expect(store.copy(key, to, options)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
      for (const one of [key, to]) expect(await held(quarantineKey(one))).toBeUndefined();
      expect(await held(to)).toBeUndefined();
    });

    test.each([
      ['in one request', {}],
      ['by parts', { copySize: 6 * MIB, copyPartSize: 5 * MIB }],
    ])('an object is quarantined %s with all that is kept with it, and once', async (_, limits) => {
      const key = newKey();
      const bytes = randomBytes(12 * MIB);
      const store = getBucket().open({}, limits);
      await store.put(key, pieces(bytes), { ...text, filename: 'Zoë.txt', checksum: sha256(bytes) });
      // As after a crash between copy and deletion.
      await store.copy(key, quarantineKey(key), text);
      expect(await store.quarantine(key)).toBe(true);
      expect(await store.head(key)).toBeUndefined();
      const kept = { contentType: 'text/plain', filename: 'Zoë.txt', checksum: sha256(bytes), size: bytes.length };
      expect(await store.head(quarantineKey(key))).toMatchObject(kept);
      expect(sha256((await held(quarantineKey(key))) as Buffer)).toBe(sha256(bytes));
      expect(await store.quarantine(key)).toBe(false);
    });

    test('what the store encrypts it quarantines too, where it cannot copy it', async () => {
      const key = newKey();
      const bytes = randomBytes(100);
      const store = getBucket().open({ sse: 'aws:kms', kmsKeyId: 'testing-key' });
      await store.put(key, pieces(bytes), { ...text, metadata: { who: 'Zoë' } });
      expect(await store.quarantine(key)).toBe(true);
      expect(await held(quarantineKey(key))).toEqual(bytes);
      expect(await held(key)).toBeUndefined();
    });
  });
}
