import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readConfig, type S3Config } from '#config';
import { pieces } from '#test/sources.ts';
import { createS3Store } from './s3.ts';
import { isPage } from './s3-answers.ts';
import type { Store } from './store.ts';

const PAGE = '<html><body>404 page not found</body></html>';
let status = 404;
/** A proxy that does not know the store, or not any more. */
const proxy = createServer((request, response) => {
  request.resume().once('end', () => response.writeHead(status, { 'content-type': 'text/html' }).end(PAGE));
});
let store: Store;

beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const env = { S3_BUCKET: 'films', S3_ENDPOINT_URL: endpoint, S3_FORCE_PATH_STYLE: 'true' };
  store = createS3Store(readConfig(env).store as S3Config, { clock: Date.now });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await store.close();
  proxy.closeAllConnections();
  proxy.close();
});

const calls: [string, () => Promise<unknown>][] = [
  ['head', () => store.head('a')],
  ['get', () => store.get('a')],
  ['list', () => store.list('a')],
  ['listUploads', () => store.listUploads('a')],
  ['put', () => store.put('a', pieces(Buffer.from('abc')), { contentType: 'text/plain' })],
  ['deleteMany', () => store.deleteMany(['a'])],
  ['quarantine', () => store.quarantine('a')],
  ['check', () => store.check()],
];

describe.each([200, 302, 400, 403, 404])("a proxy's page with status %i", (given) => {
  test.each(calls)('decides nothing: %s finds the store away', async (_, call) => {
    status = given;
    await expect(call()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', details: { status: given } });
  });
});

test.each([
  ['an object of HTML', 200, { 'content-type': 'text/html', etag: '"a"' }, 'GetObjectCommand', false],
  ["S3's words", 404, { 'content-type': 'application/xml' }, 'HeadObjectCommand', false],
  ['a store known by its headers', 403, { 'content-type': 'text/plain', 'X-Amz-Request-Id': '1' }, 'Any', false],
  [
    'an imitator known by its headers',
    404,
    { 'content-type': 'text/html', 'x-amzn-requestid': '1' },
    'HeadObjectCommand',
    false,
  ],
  ['an answer without words', 403, {}, 'HeadObjectCommand', false],
  ['a body that is too large for a proxy', 413, { 'content-type': 'text/html' }, 'UploadPartCommand', false],
  ['what the SDK repeats', 502, { 'content-type': 'text/html' }, 'UploadPartCommand', false],
  ['problem details', 404, { 'content-type': 'application/problem+json' }, 'ListPartsCommand', true],
])('%s', (_, statusCode, headers, command, page) => {
  expect(isPage({ statusCode, headers }, command)).toBe(page);
});
