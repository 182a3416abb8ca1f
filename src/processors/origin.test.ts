import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '#config';
import type { FileOrigin } from '#queues/catalog.ts';
import { createDiskStore } from '#storage/disk.ts';
import { bytesSource } from '#storage/source.ts';
import type { Store } from '#storage/store.ts';
import { CONTENT, chunked, ok, whole } from '#test/raw-origin.ts';
import { type RawServer, serveRaw } from '#test/raw-server.ts';
import { originOpener } from './origin.ts';

let dir: string;
let store: Store;
let server: RawServer;
let open: ReturnType<typeof originOpener>;
const answers: Readonly<Record<string, string>> = {
  '/whole': whole,
  '/chunked': chunked('01234', '56789'),
  '/cut': ok(['Content-Length: 11']),
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-origin-'));
  await mkdir(join(dir, 'root'));
  await writeFile(join(dir, 'root/clip.mp4'), CONTENT);
  store = createDiskStore({ dir: join(dir, 'store'), urlSecret: Buffer.alloc(32), clock: Date.now });
  await store.put('staging/b/0', bytesSource(Buffer.from(`--${CONTENT}`)), { contentType: 'text/plain' });
  server = await serveRaw((socket, request) => socket.end(answers[request.split(' ')[1] ?? ''] ?? ''));
  const env = {
    URL_ORIGIN_PORTS: String(server.port),
    URL_ORIGIN_ALLOW_CIDRS: '127.0.0.1/32',
    URL_ORIGIN_MAX_BYTES: '10',
    UPLOAD_ROOTS: join(dir, 'root'),
  };
  open = originOpener(store, readConfig(env));
});
afterAll(async () => {
  await server.close();
  await rm(dir, { recursive: true });
});

const path: FileOrigin = { kind: 'path', path: 'clip.mp4' };
const url = (name: string): FileOrigin => ({ kind: 'url', url: `http://127.0.0.1:${server.port}/${name}` });
const slice = (length: number): FileOrigin => ({ kind: 'staged', key: 'staging/b/0', slice: { offset: 2, length } });
const put = async (origin: FileOrigin, size: number | undefined) =>
  store.put('final/clip.mp4', await open({ origin, size }), { contentType: 'video/mp4' });

const GOOD: [what: string, origin: () => FileOrigin, size: number | undefined][] = [
  ['a path', () => path, 10],
  ['a path of unknown size', () => path, undefined],
  ['a url', () => url('whole'), 10],
  ['a url of unknown size', () => url('chunked'), undefined],
  ['staged bytes', () => slice(10), 10],
];
const BAD: [what: string, origin: () => FileOrigin, size: number | undefined, code: string][] = [
  ['a path that has more', () => path, 9, 'SIZE_MISMATCH'],
  ['a path that has less', () => path, 11, 'SIZE_MISMATCH'],
  ['staged bytes that are more', () => slice(10), 9, 'SIZE_MISMATCH'],
  ['a url that says it has more', () => url('whole'), 9, 'SIZE_MISMATCH'],
  ['a url that has more than it said', () => url('chunked'), 9, 'SIZE_MISMATCH'],
  ['a url that has less', () => url('chunked'), 11, 'SIZE_MISMATCH'],
  ['a url that is above the limit', () => url('cut'), undefined, 'TOO_LARGE'],
  ['a url to another port', () => ({ kind: 'url', url: 'http://127.0.0.1:6379/' }), undefined, 'URL_NOT_ALLOWED'],
  ['a path out', () => ({ kind: 'path', path: '../store' }), undefined, 'PATH_NOT_ALLOWED'],
  ['a path to nothing', () => ({ kind: 'path', path: 'none.mp4' }), undefined, 'ORIGIN_NOT_FOUND'],
  ['staged bytes that are gone', () => ({ kind: 'staged', key: 'staging/b/1' }), undefined, 'ORIGIN_NOT_FOUND'],
];

test.each(GOOD)('%s is stored', async (_what, origin, size) => {
  expect(await put(origin(), size)).toMatchObject({ size: 10 });
  const { body } = await store.get('final/clip.mp4');
  expect(String(await buffer(body))).toBe(CONTENT);
  await store.deleteMany(['final/clip.mp4']);
});

test.each(BAD)('of %s nothing is stored: $3', async (_what, origin, size, code) => {
  await expect(put(origin(), size)).rejects.toMatchObject({ code });
  expect(await store.head('final/clip.mp4')).toBeUndefined();
});
