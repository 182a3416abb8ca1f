import { afterAll, beforeAll } from 'vitest';
import { describeDirectUploads } from '#test/contracts/direct-uploads.ts';
import { describeStore, describeTransfers } from '#test/contracts/store.ts';
import { openTestBucket, type TestBucket } from './bucket.ts';
import { underTest } from './under-test.ts';

let bucket: TestBucket;

beforeAll(async () => {
  bucket = await openTestBucket();
});
afterAll(() => bucket.close());

// The whole suite once: it leaves more than a gigabyte in the memory of the store.
describeStore('the S3 store over http', async () => underTest(bucket, { checksumMode: 'WHEN_REQUIRED' }));
describeTransfers('the S3 store over TLS, the bucket in the host name', async () =>
  underTest(bucket, { ...bucket.overTls, checksumMode: 'WHEN_SUPPORTED' }),
);
describeDirectUploads('a bucket', async () => ({
  store: bucket.open(),
  put: async ({ url, headers }, bytes) =>
    (await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status,
  close: async () => undefined,
}));
