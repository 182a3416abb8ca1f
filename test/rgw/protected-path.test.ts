import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, GetObjectRetentionCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient, type ReelayClient } from '#client/client.ts';
import { startRgw, type TestRgw } from '#test/rgw.ts';
import { type Stack, startStack } from '#test/stack.ts';

const BUCKET = 'protected';

let rgw: TestRgw;
let stack: Stack;
let client: ReelayClient;
let s3: S3Client;

beforeAll(async () => {
  rgw = await startRgw();
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = rgw.env;
  s3 = new S3Client({
    ...{ endpoint: rgw.endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId, secretAccessKey },
  });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET, ObjectLockEnabledForBucket: true }));
  stack = await startStack({ ...rgw.env, S3_BUCKET: BUCKET, S3_SSE: 'aws:kms', S3_KMS_KEY_ID: 'testing-key' });
  client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
}, 180_000);
afterAll(async () => {
  await stack?.remove();
  s3?.destroy();
  await rgw?.stop();
});

it.each([
  ['inline', 100],
  ['a form’s', 7 * 1024 * 1024],
])('%s bytes are kept encrypted, and locked where asked; the row says both', async (how, size) => {
  const lock = { mode: 'GOVERNANCE', until: new Date(Date.now() + 3_600_000).toISOString() };
  const bytes = randomBytes(size);
  const entity = { project: 'demo', session: 's', scene: 'c' };
  const file = { assetType: 'video_chunk', filename: 'clip.mp4' } as const;
  const { batchId, jobs } =
    how === 'inline'
      ? await post({
          ...entity,
          files: [{ ...file, lock, origin: { kind: 'inline', base64: bytes.toString('base64') } }],
        })
      : await client.uploadFile({ ...entity, ...file, bytes });
  expect(await client.waitForBatch(batchId)).toMatchObject({ failed: [] });
  const asset = await row(jobs[0]?.files[0]?.assetId ?? '');
  expect(asset.encryption).toEqual({ algorithm: 'aws:kms', keyId: 'testing-key' });
  const until = Math.ceil(Date.parse(lock.until) / 1000) * 1000;
  expect(asset.lock).toEqual(how === 'inline' ? { mode: 'GOVERNANCE', until } : undefined);
  if (how !== 'inline') return;
  const { Retention } = await s3.send(new GetObjectRetentionCommand({ Bucket: BUCKET, Key: asset.s3Key }));
  expect(Retention).toMatchObject({ Mode: 'GOVERNANCE', RetainUntilDate: new Date(until) });
});

const headers = () => ({ authorization: `Bearer ${stack.agentKey}`, 'content-type': 'application/json' });

async function post(body: unknown) {
  const init = { method: 'POST', headers: headers(), body: JSON.stringify(body) };
  const answer = await fetch(`${stack.apiUrl}/v1/uploads`, init);
  expect(answer.status).toBe(202);
  return (await answer.json()) as Awaited<ReturnType<ReelayClient['uploadFile']>>;
}

async function row(assetId: string) {
  const answer = await fetch(`${stack.apiUrl}/v1/assets/${assetId}`, { headers: headers() });
  return (await answer.json()) as { s3Key: string; encryption: unknown; lock: unknown };
}
