import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type TestApi } from '#test/api.ts';
import { describeDirectUploads } from '#test/contracts/direct-uploads.ts';
import { until } from '#test/until.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

describeDirectUploads('the disk store behind the API', async () => ({
  store: api.store,
  put: async ({ url, headers }, bytes) =>
    (await fetch(api.url + url, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status,
  close: async () => undefined,
}));

test('a URL for a PUT does not read, and one for reading does not put', async () => {
  const key = 'staging/b_1/one';
  const { url } = await api.store.direct.signPut(key, 3, 60);
  expect((await fetch(api.url + url)).status).toBe(403);
  expect((await fetch(api.url + url, { method: 'PUT', body: 'one' })).status).toBe(200);
  const read = await api.store.signGet(key, { expiresInSeconds: 60 });
  expect((await fetch(api.url + read.url, { method: 'PUT', body: 'two' })).status).toBe(403);
  expect(await (await fetch(api.url + read.url)).text()).toBe('one');
});

test('a PUT that breaks off leaves nothing', async () => {
  const key = 'staging/b_1/broken';
  const temporary = () => readdir(join(api.root, '../objects/tmp'));
  const { url } = await api.store.direct.signPut(key, 1_000_000, 60);
  const sending = request(api.url + url, { method: 'PUT', headers: { 'content-length': '1000000' } });
  sending.on('error', () => undefined);
  sending.write(Buffer.alloc(100_000));
  await until(async () => (await temporary()).length > 0, { within: 5_000, what: 'the bytes to arrive' });
  sending.destroy();
  await until(async () => (await temporary()).length === 0, { within: 5_000, what: 'the bytes to be gone' });
  expect(await api.store.head(key)).toBeUndefined();
});
