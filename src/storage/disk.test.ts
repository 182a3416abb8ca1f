import { randomUUID } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import { describeStore } from '#test/contracts/store.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { createDiskStore } from './disk.ts';
import { onDisk } from './disk-errors.ts';
import { verifyDiskUrl } from './disk-url.ts';
import type { Store } from './store.ts';

const urlSecret = Buffer.from('the secret of this test');

describeStore('the disk store', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'reelay-disk-'));
  const store = createDiskStore({ dir, urlSecret, clock: Date.now });
  return {
    store,
    behind: createDiskStore({ dir, urlSecret, clock: () => Date.now() - 120_000 }),
    partSize: 8 * 1024 ** 2,
    leftovers: async () => (await readdir(join(dir, 'tmp'))).length + (await readdir(join(dir, 'uploads'))).length,
    // What Linux says of this process; nothing else in it writes meanwhile.
    bytesSent: async () => Number(/^wchar: (\d+)$/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1]),
    async spoilPart({ uploadId }, number, bytes) {
      const handle = await openFile(join(dir, 'uploads', uploadId), 'r+');
      const at = (number - 1) * 8 * 1024 ** 2;
      await handle.write(bytes, 0, bytes.length, at);
      if (bytes.length < 8 * 1024 ** 2) await handle.truncate(at + bytes.length);
      await handle.close();
    },
    spoilObject: (key, bytes) => writeFile(join(dir, 'objects', key), bytes),
    async fetch(url, range) {
      try {
        const { key } = verifyDiskUrl(urlSecret, url, Date.now());
        const [, start, end] = /bytes=(\d+)-(\d+)/.exec(range ?? '') ?? [];
        const part = range === undefined ? {} : { range: { start: Number(start), end: Number(end) } };
        const { body } = await store.get(key, part);
        return { status: range === undefined ? 200 : 206, bytes: await buffer(body) };
      } catch (error) {
        if (error instanceof AppError) return { status: error.status, bytes: Buffer.alloc(0) };
        throw error;
      }
    },
    async close() {
      await store.close();
      await rm(dir, { recursive: true });
    },
  };
});

describe('the disk store', () => {
  let dir: string;
  const open = () => createDiskStore({ dir, urlSecret, clock: Date.now });
  const bytes = Buffer.from('some bytes');
  const text = { contentType: 'text/plain' };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'reelay-disk-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  test('keeps an object as a file that people find, and finds it again', async () => {
    await open().put('projects/p/clip.txt', pieces(bytes), { ...text, filename: 'clip.txt' });
    expect(await readFile(join(dir, 'objects/projects/p/clip.txt'))).toEqual(bytes);
    expect(await open().head('projects/p/clip.txt')).toMatchObject({ checksum: sha256(bytes), filename: 'clip.txt' });
  });

  test('a symbolic link leads nowhere', async () => {
    const store = open();
    await store.check();
    const outside = join(dir, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    await writeFile(join(outside, 'secret#meta'), '{}');
    await symlink(outside, join(dir, 'objects/link'));
    await symlink(join(outside, 'secret'), join(dir, 'objects/file'));
    const refused = expect.objectContaining({ code: 'STORE_REJECTED' });
    await expect(store.get('link/secret')).rejects.toEqual(refused);
    await expect(store.put('link/new', pieces(bytes), text)).rejects.toEqual(refused);
    await expect(store.deleteMany(['link/secret'])).rejects.toEqual(refused);
    await expect(store.list('link/')).rejects.toEqual(refused);
    await expect(store.get('file')).rejects.toEqual(refused);
    expect((await store.list('')).objects).toEqual([]);
    expect(await readdir(outside)).toEqual(['secret', 'secret#meta']);
  });

  test('an object without its metadata is not there, and metadata has no key of its own', async () => {
    const store = open();
    await store.check();
    await writeFile(join(dir, 'objects/half'), 'half');
    expect(await store.head('half')).toBeUndefined();
    expect((await store.list('')).objects).toEqual([]);
    for (const damaged of ['{"Xize":4}', '{"size":4', '']) {
      await writeFile(join(dir, 'objects/half#meta'), damaged);
      expect(await store.head('half')).toBeUndefined();
      expect((await store.list('')).objects).toEqual([]);
    }
    await expect(store.get('half#meta')).rejects.toMatchObject({ code: 'STORE_REJECTED' });
  });

  test('an object that was cut short is as large as it is now', async () => {
    const store = open();
    await store.put('cut', pieces(Buffer.from('whole')), { contentType: 'text/plain' });
    for (const left of ['who', '']) {
      await writeFile(join(dir, 'objects/cut'), left);
      expect((await store.list('')).objects).toMatchObject([{ key: 'cut', size: left.length }]);
      const { body, info } = await store.get('cut');
      expect([info.size, String(await buffer(body))]).toEqual([left.length, left]);
    }
  });

  test('of puts of different bytes to one key, one wins whole', async () => {
    const store = open();
    const contents = Array.from({ length: 20 }, (_, index) => Buffer.from(`content ${index}`));
    await Promise.all(contents.map((content) => store.put('key', pieces(content), text)));
    const { body, info } = await store.get('key');
    expect(sha256(await buffer(body))).toBe(info.checksum);
  });

  test('puts and deletions in one folder do not trip over each other', async () => {
    const store = open();
    const keys = Array.from({ length: 100 }, (_, index) => `staging/batch/${index}`);
    await Promise.all(
      keys.map(async (key) => {
        await store.put(key, pieces(bytes), text);
        await store.deleteMany([key]);
      }),
    );
    expect(await readdir(join(dir, 'objects'))).toEqual([]);
  });

  test.each<[string, (store: Store) => Promise<unknown>]>([
    ['head', (store) => store.head('staging/a')],
    ['get', (store) => store.get('staging/a')],
    ['copy', (store) => store.copy('staging/a', 'projects/a', text)],
    ['put', (store) => store.put('projects/a', pieces(bytes), text)],
    ['list', (store) => store.list('staging/')],
    ['deleteMany', (store) => store.deleteMany(['staging/a'])],
    ['check', (store) => store.check()],
    ['listUploads', (store) => store.listUploads('')],
    ['abortUpload', (store) => store.abortUpload({ key: 'staging/a', uploadId: randomUUID() })],
    ['quarantine', (store) => store.quarantine('staging/a')],
  ])('while its folder is gone, %s calls the store unavailable, not the object missing', async (_, call) => {
    const store = open();
    await store.put('staging/a', pieces(bytes), text);
    await rename(dir, `${dir}-unmounted`);
    try {
      await expect(call(store)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    } finally {
      await rename(`${dir}-unmounted`, dir);
    }
    expect(await store.head('staging/a')).toMatchObject({ checksum: sha256(bytes) });
  });

  test('locks nothing, and says so before it stores anything', async () => {
    const lock = { mode: 'GOVERNANCE', until: Date.now() + 60_000 } as const;
    expect(await open().canLock()).toBe(false);
    const refused = { code: 'LOCK_NOT_APPLIED' };
    await expect(open().put('a', pieces(bytes), { ...text, lock })).rejects.toMatchObject(refused);
    await open().put('a', pieces(bytes), text);
    await expect(open().copy('a', 'b', { ...text, lock })).rejects.toMatchObject(refused);
    expect((await open().list('')).objects.map(({ key }) => key)).toEqual(['a']);
  });

  test('what a crashed process left is removed once it is an hour old', async () => {
    const tmp = join(dir, 'tmp');
    await mkdir(tmp);
    await writeFile(join(tmp, 'old'), 'x');
    await writeFile(join(tmp, 'young'), 'x');
    await utimes(join(tmp, 'old'), new Date(), new Date(Date.now() - 3_700_000));
    await open().check();
    expect(await readdir(tmp)).toEqual(['young']);
  });

  test.each([
    ['ENOSPC', 'STORE_FULL'],
    ['EDQUOT', 'STORE_FULL'],
    ['EACCES', 'STORE_ACCESS_DENIED'],
    ['EROFS', 'STORE_ACCESS_DENIED'],
    ['EIO', 'STORE_UNAVAILABLE'],
    ['ENAMETOOLONG', 'STORE_REJECTED'],
    ['ESOMETHINGNEW', 'STORE_FAILED'],
  ])('%s is %s', async (code, ours) => {
    const cause = Object.assign(new Error(code), { code });
    await expect(onDisk(() => Promise.reject(cause))).rejects.toMatchObject({ code: ours, cause });
  });
});
