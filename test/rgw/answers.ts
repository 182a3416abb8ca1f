import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { GetObjectTaggingCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, test } from 'vitest';
import { quarantineKey } from '#storage/keys.ts';
import { freePort } from '#test/free-port.ts';
import { pieces, sha256 } from '#test/sources.ts';
import type { TestBucket } from './bucket.ts';
import { ways } from './journal.ts';
import { type Intercept, type StoreProxy, startProxy } from './proxy.ts';

const MIB = 1024 ** 2;
const text = { contentType: 'text/plain' };
const fails = (code: string) => expect.objectContaining({ code });

/** Makes a store of the proxied one that keeps the SHA-256 sent along, as AWS does and RGW does not. */
function keepingChecksums(): Intercept {
  const kept = new Map<string, string>();
  const parts = new Map<string, Map<number, Buffer>>();
  return async ({ method, headers }, url, response) => {
    const sent = headers['x-amz-checksum-sha256'];
    const part = Number(url.searchParams.get('partNumber'));
    if (method === 'PUT' && typeof sent === 'string') {
      const ofKey = parts.get(url.pathname) ?? new Map<number, Buffer>();
      if (part > 0) parts.set(url.pathname, ofKey.set(part, Buffer.from(sent, 'base64')));
      else kept.set(url.pathname, sent);
    }
    if (method === 'POST' && url.searchParams.has('uploadId')) {
      const digests = [...(parts.get(url.pathname) ?? [])].sort(([a], [b]) => a - b).map(([, digest]) => digest);
      const composite = createHash('sha256').update(Buffer.concat(digests)).digest('base64');
      kept.set(url.pathname, `${composite}-${digests.length}`);
    }
    const answer = kept.get(url.pathname);
    if (method === 'HEAD' && answer) response.setHeader('x-amz-checksum-sha256', answer);
    return false;
  };
}

/** How the S3 adapter takes what stores answer. */
export function describeAnswers(getBucket: () => TestBucket): void {
  describe('answers of a store', () => {
    const proxies: StoreProxy[] = [];
    const newKey = () => `answers/${randomUUID()}`;

    async function through(intercept: Intercept) {
      const proxy = await startProxy(getBucket().config.endpoint ?? '', intercept);
      proxies.push(proxy);
      return getBucket().open({ endpoint: proxy.endpoint });
    }

    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

    test.each(ways)('%s: a checksum that the store keeps is the proof', async (_, way) => {
      const store = await through(keepingChecksums());
      const [small, large] = [randomBytes(100), randomBytes(12 * MIB)];
      const key = newKey();
      expect(await store.put(key, pieces(small), { ...text, ...way() })).toMatchObject({ verifiedBy: 'checksum' });
      expect(await store.head(key)).toMatchObject({ checksum: sha256(small) });
      const composite = await store.put(newKey(), pieces(large), { ...text, ...way() });
      expect(composite).toMatchObject({ verifiedBy: 'composite', checksum: sha256(large) });
    });

    test.each(ways)('%s: an object that is not what was sent is quarantined', async (_, way) => {
      const store = await through(async ({ method }, url, response) => {
        if (method === 'HEAD' && url.pathname.includes('answers/')) {
          const writeHead = response.writeHead.bind(response);
          response.writeHead = (status: number) => writeHead(status, { 'content-length': 99 });
        }
        return false;
      });
      const key = newKey();
      const put = store.put(key, pieces(randomBytes(100)), { ...text, ...way() });
      await expect(put).rejects.toMatchObject({ code: 'SIZE_MISMATCH', details: { quarantined: true } });
      expect(await getBucket().open().head(key)).toBeUndefined();
      expect(await getBucket().open().head(quarantineKey(key))).toMatchObject({ size: 100 });
    });

    // RGW leaves tags out of multipart uploads and copies.
    test.each(ways)('%s: the tags of the configuration are kept', async (_, way) => {
      const store = getBucket().open({ tags: { team: 'films @home', stage: 'prod' } });
      const Key = newKey();
      await store.put(Key, pieces(randomBytes(100)), { ...text, ...way() });
      const { bucket: Bucket, endpoint = '', region } = getBucket().config;
      const client = new S3Client({ endpoint, region, forcePathStyle: true });
      const { TagSet } = await client.send(new GetObjectTaggingCommand({ Bucket, Key }));
      client.destroy();
      const tags = TagSet?.map(({ Key: name, Value }) => `${name}=${Value}`).sort();
      expect(tags).toEqual(['stage=prod', 'team=films @home']);
    });

    test('a bucket that is not there', async () => {
      const store = getBucket().open({ bucket: 'no-such-bucket' });
      const missing = fails('STORE_BUCKET_MISSING');
      await expect(store.put('key', pieces(randomBytes(9)), text)).rejects.toEqual(missing);
      await expect(store.list('')).rejects.toEqual(missing);
      await expect(store.check()).rejects.toEqual(missing);
    });

    test('credentials that are not taken', async () => {
      const { AWS_SECRET_ACCESS_KEY: secret } = process.env;
      process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
      try {
        const store = getBucket().open();
        await expect(store.put('key', pieces(randomBytes(9)), text)).rejects.toEqual(fails('STORE_ACCESS_DENIED'));
        await expect(store.check()).rejects.toEqual(fails('STORE_ACCESS_DENIED'));
      } finally {
        process.env.AWS_SECRET_ACCESS_KEY = secret;
      }
    });

    test('a signed URL lives no longer than the credentials that signed it', async () => {
      const end = Math.ceil(Date.now() / 1000) * 1000 + 30_000;
      process.env.AWS_CREDENTIAL_EXPIRATION = new Date(end).toISOString();
      try {
        const { url, expiresAt } = await getBucket().open().signGet('key', { expiresInSeconds: 3600 });
        expect(expiresAt).toBe(end);
        expect(Number(new URL(url).searchParams.get('X-Amz-Expires'))).toBeLessThanOrEqual(31);
      } finally {
        delete process.env.AWS_CREDENTIAL_EXPIRATION;
      }
    });

    test('a store that is away', async () => {
      const store = getBucket().open({ endpoint: `http://127.0.0.1:${await freePort()}` });
      const away = fails('STORE_UNAVAILABLE');
      await expect(store.put('key', pieces(randomBytes(9)), text)).rejects.toEqual(away);
      await expect(store.get('key')).rejects.toEqual(away);
      await expect(store.list('')).rejects.toEqual(away);
      await expect(store.check()).rejects.toEqual(away);
    });

    test.each([503, 500, 429])('a store that answers %i is away for now, and found again', async (status) => {
      let busy = true;
      const store = await through(async (_, __, response) => {
        if (busy) response.writeHead(status).end();
        return busy;
      });
      await expect(store.put('key', pieces(randomBytes(9)), text)).rejects.toEqual(fails('STORE_UNAVAILABLE'));
      busy = false;
      await store.put(newKey(), pieces(randomBytes(9)), text);
    });

    test('a download that breaks off is an error, not an end', async () => {
      const key = newKey();
      await getBucket()
        .open()
        .put(key, pieces(randomBytes(MIB)), text);
      const store = await through(async ({ method }, _, response) => {
        if (method === 'GET') response.writeHead(200, { 'content-length': MIB }).write('x', () => response.destroy());
        return method === 'GET';
      });
      const { body } = await store.get(key);
      await expect(buffer(body)).rejects.toEqual(fails('STORE_UNAVAILABLE'));
    });

    test('an object that the store would not delete is named', async () => {
      const store = await through(async ({ method }, url, response) => {
        const asked = method === 'POST' && url.searchParams.has('delete');
        const error = '<Error><Key>held</Key><Code>AccessDenied</Code><Message>Locked</Message></Error>';
        if (asked) response.end(`<?xml version="1.0"?><DeleteResult>${error}</DeleteResult>`);
        return asked;
      });
      const kept = { code: 'STORE_ACCESS_DENIED', details: { keys: ['held'] } };
      await expect(store.deleteMany(['held', 'free'])).rejects.toMatchObject(kept);
    });
  });
}
