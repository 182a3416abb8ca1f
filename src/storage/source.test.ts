import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pieces } from '#test/sources.ts';
import { createDiskStore } from './disk.ts';
import { bytesSource, createPathOpener, fileSource, stagedSource } from './source.ts';

let dir: string;
let root: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-source-'));
  root = join(dir, 'root');
  await mkdir(join(root, 'sub'), { recursive: true });
  await writeFile(join(root, 'sub/clip.mp4'), '0123456789');
  await writeFile(join(dir, 'secret'), 'secret');
});
afterEach(() => rm(dir, { recursive: true }));

const fails = (code: string) => expect.objectContaining({ code });

describe('path origins', () => {
  test.each(['sub/clip.mp4', './sub/../sub/clip.mp4'])('%s is read from the root, from any offset', async (path) => {
    const source = await fileSource(path, createPathOpener([join(dir, 'empty'), root]));
    expect(source.size).toBe(10);
    expect(String(await buffer(await source.open(0)))).toBe('0123456789');
    expect(String(await buffer(await source.open(7)))).toBe('789');
  });

  test('an absolute path inside a root, and a root that is itself a link', async () => {
    await symlink(root, join(dir, 'alias'));
    expect(await fileSource(join(root, 'sub/clip.mp4'), createPathOpener([root]))).toMatchObject({ size: 10 });
    expect(await fileSource('sub/clip.mp4', createPathOpener([join(dir, 'alias')]))).toMatchObject({ size: 10 });
  });

  test('a link that stays inside is followed, one that leads out is not', async () => {
    await symlink(join(root, 'sub/clip.mp4'), join(root, 'inside'));
    await symlink(join(dir, 'secret'), join(root, 'file'));
    await symlink(dir, join(root, 'folder'));
    await symlink('loop', join(root, 'loop'));
    const open = createPathOpener([root]);
    expect(await fileSource('inside', open)).toMatchObject({ size: 10 });
    for (const path of ['file', 'folder/secret', 'loop']) {
      await expect(fileSource(path, open)).rejects.toEqual(fails('PATH_NOT_ALLOWED'));
    }
  });

  test.each(['../secret', 'sub/../../secret', '/etc/passwd', '/dev/zero', '.', '', 'sub', 'sub/clip.mp4\0.txt'])(
    '%j is refused',
    async (path) => {
      await expect(fileSource(path, createPathOpener([root]))).rejects.toEqual(fails('PATH_NOT_ALLOWED'));
    },
  );

  test('a folder whose name only begins like a root is outside', async () => {
    await mkdir(`${root}-2`);
    await writeFile(`${root}-2/file`, 'x');
    await expect(fileSource(`${root}-2/file`, createPathOpener([root]))).rejects.toEqual(fails('PATH_NOT_ALLOWED'));
  });

  test('a FIFO is refused without waiting for its writer', async () => {
    execFileSync('mkfifo', [join(root, 'fifo')]);
    await expect(fileSource('fifo', createPathOpener([root]))).rejects.toEqual(fails('PATH_NOT_ALLOWED'));
  });

  test('missing files, and no roots at all', async () => {
    await expect(fileSource('none.mp4', createPathOpener([root]))).rejects.toEqual(fails('ORIGIN_NOT_FOUND'));
    await expect(fileSource('sub/clip.mp4/x', createPathOpener([root]))).rejects.toEqual(fails('ORIGIN_NOT_FOUND'));
    await expect(fileSource('clip.mp4', createPathOpener([]))).rejects.toMatchObject({
      code: 'PATH_NOT_ALLOWED',
      message: expect.stringContaining('UPLOAD_ROOTS'),
    });
  });

  test('a file swapped for a link out between two reads is refused', async () => {
    const source = await fileSource('sub/clip.mp4', createPathOpener([root]));
    await rm(join(root, 'sub/clip.mp4'));
    await symlink(join(dir, 'secret'), join(root, 'sub/clip.mp4'));
    await expect(source.open(0)).rejects.toEqual(fails('PATH_NOT_ALLOWED'));
  });
});

describe('other origins', () => {
  test('bytes in memory', async () => {
    const source = bytesSource(Buffer.from('0123456789'));
    expect(source.size).toBe(10);
    expect(String(await buffer(await source.open(4)))).toBe('456789');
    expect(await buffer(await bytesSource(Buffer.alloc(0)).open(0))).toHaveLength(0);
  });

  test('staged bytes, whole and as a slice', async () => {
    const store = createDiskStore({ dir: join(dir, 'store'), urlSecret: Buffer.from('x'), clock: Date.now });
    await store.put('staging/b/0', pieces(Buffer.from('0123456789')), { contentType: 'text/plain' });
    const whole = await stagedSource(store, 'staging/b/0');
    expect(whole.size).toBe(10);
    expect(String(await buffer(await whole.open(8)))).toBe('89');
    const slice = await stagedSource(store, 'staging/b/0', { offset: 2, length: 3 });
    expect(slice.size).toBe(3);
    expect(String(await buffer(await slice.open(0)))).toBe('234');
    expect(String(await buffer(await slice.open(2)))).toBe('4');
    const missing = fails('ORIGIN_NOT_FOUND');
    await expect(stagedSource(store, 'staging/b/1')).rejects.toEqual(missing);
    const gone = await stagedSource(store, 'staging/b/1', { offset: 0, length: 2 });
    await expect(gone.open(0)).rejects.toEqual(missing);
    const past = await stagedSource(store, 'staging/b/0', { offset: 9, length: 2 });
    await expect(store.put('past', past, { contentType: 'text/plain' })).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
    const facts = await store.put('copy', slice, { contentType: 'text/plain' });
    expect(facts.size).toBe(3);
  });
});
