import { afterAll, beforeAll } from 'vitest';
import type { S3Config } from '#config';
import { describeDirectUploads } from '#test/contracts/direct-uploads.ts';
import { describeStore } from '#test/contracts/store.ts';
import { openTestBucket, type TestBucket } from './bucket.ts';
import { underTest } from './under-test.ts';

let bucket: TestBucket;

beforeAll(async () => {
  bucket = await openTestBucket();
});
afterAll(() => bucket.close());

const modes: readonly S3Config['checksumMode'][] = ['WHEN_REQUIRED', 'WHEN_SUPPORTED'];
for (const checksumMode of modes) {
  describeStore(`the S3 store over http (${checksumMode})`, async () => underTest(bucket, { checksumMode }));
  describeStore(`the S3 store over TLS, the bucket in the host name (${checksumMode})`, async () =>
    underTest(bucket, { ...bucket.overTls, checksumMode }),
  );
}
describeDirectUploads('a bucket', async () => ({
  store: bucket.open(),
  put: async ({ url, headers }, bytes) =>
    (await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status,
  close: async () => undefined,
}));
