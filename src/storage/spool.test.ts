import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { memoryJournal } from '#test/memory-journal.ts';
import { sourceOf } from '#test/raw-origin.ts';
import { sha256 } from '#test/sources.ts';
import { createDiskStore } from './disk.ts';
import { putSpooled, type Spool } from './spool.ts';
import type { Store } from './store.ts';

/** More than one part. */
const bytes = randomBytes(9 * 1024 ** 2);
const file = { contentType: 'application/octet-stream', signal: new AbortController().signal };
const ranges = ['Accept-Ranges: bytes', 'ETag: "v1"'];
const lengthOf = (body: Buffer) => `Content-Length: ${body.length}`;

let dir: string;
let store: Store;
let spool: Spool;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-spool-'));
  store = createDiskStore({ dir, urlSecret: Buffer.alloc(32), clock: Date.now });
});
beforeEach(() => {
  spool = { key: `staging/b/${randomBytes(8).toString('hex')}`, journal: memoryJournal() };
});
afterAll(() => rm(dir, { recursive: true }));

/** Answers each request in turn with as many bytes as `lengths` says, all of them in the end. */
function serving(headers: readonly string[], body: Buffer, ...lengths: number[]) {
  return sourceOf((socket: Socket) => {
    socket.write(['HTTP/1.1 200 OK', ...headers, '', ''].join('\r\n'));
    socket.end(body.subarray(0, lengths.shift() ?? body.length));
  });
}

async function expectStored(key: string): Promise<void> {
  expect(sha256(await buffer((await store.get(key)).body))).toBe(sha256(bytes));
}

test.each([
  ['does not say that it sends ranges', [lengthOf(bytes), 'ETag: "v1"']],
  ['has nothing strong to know its file by', [lengthOf(bytes), 'Accept-Ranges: bytes', 'ETag: W/"v1"']],
])('an origin that %s is spooled, and read once', async (_, headers) => {
  const { source, server } = await serving(headers, bytes);
  const stored = await putSpooled(store, 'spooled', source, { ...file, filename: 'a.bin' }, spool);
  expect(stored).toMatchObject({ s3Key: 'spooled', size: bytes.length, checksum: sha256(bytes) });
  expect(await store.head('spooled')).toMatchObject({ filename: 'a.bin' });
  expect(await store.head(spool.key)).toMatchObject({ size: bytes.length });
  expect(server.connections()).toBe(1);
  await expectStored('spooled');
});

test.each([
  ['can be read from an offset', [lengthOf(bytes), ...ranges], bytes],
  ['fits one part', ['Content-Length: 5000'], bytes.subarray(0, 5_000)],
  ['is all there at once', ['Transfer-Encoding: chunked'], Buffer.from('3\r\nabc\r\n0\r\n\r\n')],
])('an origin that %s is not', async (_, headers, body) => {
  const { source } = await serving(headers, body);
  const { size } = await putSpooled(store, 'straight', source, file, spool);
  expect(size).toBe(body.length > 100 ? body.length : 3);
  expect(await store.head(spool.key)).toBeUndefined();
  expect(await spool.journal.read()).toEqual({});
});

test('one that breaks off is asked once more', async () => {
  const { source, server } = await serving([lengthOf(bytes)], bytes, 8_500_000);
  const broken = putSpooled(store, 'broken', source, file, spool);
  await expect(broken).rejects.toMatchObject({ code: 'ORIGIN_UNREADABLE' });
  expect(await store.head('broken')).toBeUndefined();
  await putSpooled(store, 'broken', source, file, spool);
  await expectStored('broken');
  expect(server.connections()).toBe(2);
});

test('once it is whole in staging it is asked no more', async () => {
  const { source, server } = await serving([lengthOf(bytes)], bytes);
  // What breaks is the copy: the disk keeps no locks.
  const lock = { mode: 'GOVERNANCE', until: Date.now() + 60_000 } as const;
  const broken = putSpooled(store, 'copied', source, { ...file, lock }, spool);
  await expect(broken).rejects.toMatchObject({ code: 'LOCK_NOT_APPLIED' });
  const read: number[] = [];
  await putSpooled(store, 'copied', source, { ...file, onRead: (done) => read.push(done) }, spool);
  await expectStored('copied');
  expect(server.connections()).toBe(1);
  expect(read).toEqual([bytes.length]);
});

test('one whose spool is gone is read anew', async () => {
  const { source } = await serving([lengthOf(bytes)], bytes);
  await putSpooled(store, 'anew', source, file, spool);
  await store.deleteMany([spool.key, 'anew']);
  await putSpooled(store, 'anew', source, file, spool);
  await expectStored('anew');
});

test.each([
  ['TOO_LARGE', { maxSize: bytes.length - 1 }],
  ['CHECKSUM_MISMATCH', { checksum: '0'.repeat(64) }],
])('%s leaves nothing, in staging neither', async (code, asked) => {
  const { source } = await serving([lengthOf(bytes)], bytes);
  await expect(putSpooled(store, 'refused', source, { ...file, ...asked }, spool)).rejects.toMatchObject({ code });
  for (const key of ['refused', spool.key]) expect(await store.head(key)).toBeUndefined();
  expect((await store.listUploads('')).uploads).toEqual([]);
});

test('bytes of another type than declared are refused before any is stored', async () => {
  const program = Buffer.concat([Buffer.from('7f454c4602010100', 'hex'), bytes]);
  const { source } = await serving([lengthOf(program)], program);
  const put = putSpooled(store, 'typed', source, { ...file, contentType: 'video/mp4' }, spool);
  await expect(put).rejects.toMatchObject({ code: 'CONTENT_TYPE_MISMATCH' });
  expect(await spool.journal.read()).toEqual({});
});
