import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { pieces, sha256 } from '#test/sources.ts';
import type { TestBucket } from './bucket.ts';
import { ways } from './journal.ts';
import { type StoreProxy, startProxy } from './proxy.ts';

const MIB = 1024 ** 2;
const text = { contentType: 'text/plain' };
const LENGTHS = [100, 12 * MIB];

/** Encryption is asked of each object and confirmed by the store's answer, or there is no object. */
export function describeEncryption(getBucket: () => TestBucket): void {
  describe('encryption', () => {
    const proxies: StoreProxy[] = [];
    const newKey = () => `encryption/${randomUUID()}`;
    const cases = ways.flatMap(([name, way]) => LENGTHS.map((length) => [name, length, way] as const));

    /** RGW takes no AES256: what a store that grants it answers is put into its answers here, for keys that `grants`. */
    async function granting(grants: (path: string) => boolean) {
      const asked: string[] = [];
      const proxy = await startProxy(getBucket().config.endpoint ?? '', async ({ method, headers }, url, response) => {
        const sse = headers['x-amz-server-side-encryption'];
        if (sse === 'AES256') asked.push(url.pathname);
        const shows = method === 'HEAD' && asked.includes(url.pathname) && grants(url.pathname);
        if (shows) response.setHeader('x-amz-server-side-encryption', 'AES256');
        return false;
      });
      proxies.push(proxy);
      return getBucket().open({ endpoint: proxy.endpoint, sse: 'AES256' });
    }

    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

    test.each(cases)(
      '%s, %i bytes: with a key of KMS it is confirmed, and the bytes are read back',
      async (...given) => {
        const [, length, way] = given;
        const store = getBucket().open({ sse: 'aws:kms', kmsKeyId: 'testing-key' });
        const bytes = randomBytes(length);
        const [from, to] = [newKey(), newKey()];
        const proof = { verifiedBy: 'readback', encryption: { algorithm: 'aws:kms', keyId: 'testing-key' } };
        expect(await store.put(from, pieces(bytes), { ...text, ...way() })).toMatchObject(proof);
        const { body } = await store.get(from);
        expect(sha256(await buffer(body))).toBe(sha256(bytes));
        expect(await store.copy(from, to, text)).toMatchObject({ ...proof, checksum: sha256(bytes) });
      },
    );

    test.each(cases)('%s, %i bytes: with the store’s own keys it is asked for, and confirmed', async (...given) => {
      const [, length, way] = given;
      const store = await granting(() => true);
      const [from, to] = [newKey(), newKey()];
      const proof = { encryption: { algorithm: 'AES256' } };
      expect(await store.put(from, pieces(randomBytes(length)), { ...text, ...way() })).toMatchObject(proof);
      expect(await store.copy(from, to, text)).toMatchObject(proof);
    });

    test('a store that ignores it is found out before any bytes are stored', async () => {
      const store = getBucket().open({ sse: 'AES256' });
      const key = newKey();
      const refused = { code: 'ENCRYPTION_NOT_APPLIED' };
      await expect(store.put(key, pieces(randomBytes(9)), text)).rejects.toMatchObject(refused);
      await expect(store.check()).rejects.toMatchObject(refused);
      expect(await getBucket().open().head(key)).toBeUndefined();
      expect((await getBucket().open().list('.reelay/')).objects).toEqual([]);
    });

    test.each(cases)('%s, %i bytes: an object stored without it is removed', async (...given) => {
      const [, length, way] = given;
      const store = await granting((path) => path.includes('/probe-'));
      const [key, copied] = [newKey(), newKey()];
      const refused = { code: 'ENCRYPTION_NOT_APPLIED', details: { applied: { sse: undefined } } };
      const put = store.put(key, pieces(randomBytes(length)), { ...text, ...way() });
      await expect(put).rejects.toMatchObject(refused);
      expect(await getBucket().open().head(key)).toBeUndefined();
      const plain = newKey();
      await getBucket()
        .open()
        .put(plain, pieces(randomBytes(length)), text);
      await expect(store.copy(plain, copied, text)).rejects.toMatchObject(refused);
      expect(await getBucket().open().head(copied)).toBeUndefined();
    });
  });
}
