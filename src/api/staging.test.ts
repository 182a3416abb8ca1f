import { createHash, randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Accepted, Staging } from '#answers';
import type { Run } from '#processors/run.ts';
import { stagingExpiryProcessor } from '#processors/staging-expiry.ts';
import { createBatches } from '#queues/batches.ts';
import { startApi, type TestApi } from '#test/api.ts';

const MIB = 1024 ** 2;
let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const remove = (stagingId: string) => api.call(`/v1/staging/${stagingId}`, { method: 'DELETE' });
const complete = (stagingId: string) => api.call(`/v1/staging/${stagingId}/complete`, { method: 'POST' });
const look = async (stagingId: string) => (await api.call(`/v1/staging/${stagingId}`)).json() as Promise<Staging>;

async function begin(own: object): Promise<Staging> {
  const response = await api.post('/v1/staging', { project: 'demo', ...own });
  expect(response.status).toBe(201);
  return (await response.json()) as Staging;
}

/** Sends bytes as anyone could: the URL is its own permission. */
async function put(to: { url: string } | undefined, bytes: Buffer): Promise<number> {
  const url = (to?.url ?? '').replace('http://api.example', api.url);
  return (await fetch(url, { method: 'PUT', body: new Uint8Array(bytes) })).status;
}

async function answer(response: Response) {
  const body = (await response.json()) as { error?: { code: string; details: Record<string, unknown> } };
  return { status: response.status, code: body.error?.code, details: body.error?.details };
}

const use = (stagingId: string, own: object = {}) =>
  api.post('/v1/uploads', {
    ...{ project: 'demo', session: 's', scene: 'c' },
    files: [{ assetType: 'video_chunk', filename: 'a.mp4', origin: { kind: 'staged', stagingId }, ...own }],
  });

async function staged(size = 100): Promise<string> {
  const { stagingId, put: to } = await begin({ size });
  expect(await put(to, randomBytes(size))).toBe(200);
  expect((await complete(stagingId)).status).toBe(200);
  return stagingId;
}

test('bytes put whole are used by one upload, which the worker copies inside the store', async () => {
  const bytes = randomBytes(1_000);
  const checksum = createHash('sha256').update(bytes).digest('hex');
  const view = await begin({ size: 1_000, checksum });
  expect(view).toMatchObject({ state: 'open', size: 1_000, put: { headers: {} } });
  expect(await put(view.put, bytes)).toBe(200);
  expect(await answer(await use(view.stagingId))).toMatchObject({ status: 409, code: 'STAGING_INCOMPLETE' });
  for (const _ of ['once', 'again']) expect((await complete(view.stagingId)).status).toBe(200);
  const uploaded = await use(view.stagingId);
  expect(uploaded.status).toBe(202);
  const { batchId, jobs } = (await uploaded.json()) as Accepted;
  const job = await api.producer.lanes.small.getJob(jobs[0]?.jobId ?? '');
  expect(job?.data.files).toMatchObject([{ origin: { kind: 'staged' }, size: 1_000, checksum }]);
  expect(await look(view.stagingId)).toMatchObject({ state: 'used', batchId });
  expect(await answer(await use(view.stagingId))).toMatchObject({ status: 409, code: 'CONFLICT' });
});

test('a PUT sent again after completion changes nothing of what is used', async () => {
  const view = await begin({ size: 4 });
  await put(view.put, Buffer.from('AAAA'));
  await complete(view.stagingId);
  expect(await put(view.put, Buffer.from('BBBB'))).toBe(200);
  const { jobs } = (await (await use(view.stagingId)).json()) as Accepted;
  const job = await api.producer.lanes.small.getJob(jobs[0]?.jobId ?? '');
  const [file] = (job?.data.files ?? []) as { checksum: string; origin: { key: string } }[];
  expect(file?.checksum).toBe(createHash('sha256').update('AAAA').digest('hex'));
  expect(await text((await api.store.get(file?.origin.key ?? '')).body)).toBe('AAAA');
});

test('an upload in parts goes on where it was left', async () => {
  const bytes = randomBytes(8 * MIB + 1);
  const { stagingId, missing = [], partSize } = await begin({ size: bytes.length, parts: true });
  expect([partSize, missing.map(({ number, size }) => [number, size])]).toEqual([
    8 * MIB,
    [
      [1, 8 * MIB],
      [2, 1],
    ],
  ]);
  expect(await put(missing[1], bytes.subarray(8 * MIB))).toBe(200);
  expect(await answer(await complete(stagingId))).toMatchObject({
    ...{ status: 409, code: 'STAGING_INCOMPLETE', details: { missing: [1] } },
  });
  const resumed = await look(stagingId);
  expect(resumed).toMatchObject({ state: 'open', parts: [{ number: 2, size: 1 }], missing: [{ number: 1 }] });
  expect(await put(resumed.missing?.[0], bytes.subarray(0, 8 * MIB))).toBe(200);
  for (const _ of ['once', 'again']) expect((await complete(stagingId)).status).toBe(200);
  expect((await use(stagingId)).status).toBe(202);
});

test('what is given up is gone, and says so', async () => {
  const { stagingId, missing = [] } = await begin({ size: 10, parts: true });
  await put(missing[0], randomBytes(10));
  for (const _ of ['once', 'again']) expect((await remove(stagingId)).status).toBe(204);
  expect(await look(stagingId)).toMatchObject({ state: 'aborted' });
  expect(await answer(await complete(stagingId))).toMatchObject({ status: 410, code: 'GONE' });
  expect(await answer(await use(stagingId))).toMatchObject({ status: 410, code: 'GONE' });
  expect((await api.store.list(`staging/${stagingId}`)).objects).toEqual([]);
});

test('what nobody used in time is deleted, what an upload uses stays', async () => {
  const { staging } = api.producer;
  const expire = stagingExpiryProcessor({ staging, batches: createBatches(api.redis, 'test'), store: api.store });
  const taken = await staged();
  expect(await staging.use(taken, 'b_never')).toBe(true);
  const [forgotten, wanted] = [await staged(), await staged()];
  expect((await use(wanted)).status).toBe(202);
  const job = await api.producer.lanes.maintenance.getJob(`${forgotten}-expiry`);
  expect(job?.opts.delay).toBe(86_400_000);
  for (const stagingId of [forgotten, wanted, taken, 'st_unknown']) await expire({ stagingId }, {} as Run);
  expect(await answer(await use(forgotten))).toMatchObject({ status: 410, code: 'GONE' });
  expect((await api.store.list(`staging/${forgotten}`)).objects).toEqual([]);
  expect((await api.store.list(`staging/${wanted}`)).objects).toHaveLength(1);
  // Its request died between taking the bytes and having its batch accepted.
  expect(await look(taken)).toMatchObject({ state: 'expired' });
  expect((await api.store.list(`staging/${taken}`)).objects).toEqual([]);
});

test('an upload that is refused leaves the staged bytes to the next one', async () => {
  const [good, bad] = [await staged(), await staged()];
  expect(await answer(await use(good, { size: 7 }))).toMatchObject({ code: 'SIZE_MISMATCH' });
  await use(bad);
  const both = [good, bad].map((stagingId) => ({
    ...{ assetType: 'video_chunk', filename: 'a.mp4', origin: { kind: 'staged', stagingId } },
  }));
  const refused = await api.post('/v1/uploads', { project: 'demo', session: 's', scene: 'c', files: both });
  expect(await answer(refused)).toMatchObject({ status: 409, code: 'CONFLICT' });
  expect((await use(good)).status).toBe(202);
});

test('nothing is told of bytes of another project', async () => {
  const stagingId = await staged();
  const elsewhere = await api.key({ projects: ['other'] });
  const headers = { authorization: `Bearer ${elsewhere}` };
  expect((await fetch(`${api.url}/v1/staging/${stagingId}`, { headers })).status).toBe(404);
  const files = [{ assetType: 'video_chunk', filename: 'a.mp4', origin: { kind: 'staged', stagingId } }];
  const response = await api.post('/v1/uploads', { project: 'other', session: 's', scene: 'c', files });
  expect(await answer(response)).toMatchObject({ status: 400, code: 'ORIGIN_NOT_FOUND' });
});

test.each([
  ['no bytes', { size: 0 }],
  ['more than S3 keeps', { size: 5 * MIB * MIB + 1 }],
  ['no size', {}],
  ['a checksum that is none', { size: 1, checksum: 'x' }],
  ['an unknown field', { size: 1, filename: 'a' }],
])('%s: refused', async (_, own) => {
  expect(await answer(await api.post('/v1/staging', { project: 'demo', ...own }))).toMatchObject({
    ...{ status: 400, code: 'VALIDATION_FAILED' },
  });
});

test('the same staged bytes make one asset only', async () => {
  const stagingId = await staged();
  const file = { assetType: 'video_chunk', filename: 'a.mp4', origin: { kind: 'staged', stagingId } };
  const response = await api.post('/v1/uploads', { project: 'demo', session: 's', scene: 'c', files: [file, file] });
  expect(await answer(response)).toMatchObject({
    ...{ code: 'VALIDATION_FAILED', details: { fields: [{ path: 'files[1].origin.stagingId' }] } },
  });
});
