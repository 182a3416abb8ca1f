import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pieces } from '#test/sources.ts';
import { createDiskStore } from './disk.ts';
import type { Store } from './store.ts';

let dir: string;
let store: Store;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-quarantine-'));
  store = createDiskStore({ dir, urlSecret: Buffer.alloc(32), clock: Date.now });
});
afterEach(() => rm(dir, { recursive: true }));

const pathOf = (key: string) => join(dir, 'objects', key);
const put = (content: string) => store.put('s/a.txt', pieces(Buffer.from(content)), { contentType: 'text/plain' });
const quarantined = async () => text((await store.get('quarantine/s/a.txt')).body);

test('a move that a crash cut in two is ended by the next call', async () => {
  await put('bytes');
  await mkdir(pathOf('quarantine/s'), { recursive: true });
  await rename(pathOf('s/a.txt'), pathOf('quarantine/s/a.txt'));
  expect(await store.quarantine('s/a.txt')).toBe(true);
  expect(await quarantined()).toBe('bytes');
  expect(await readdir(join(dir, 'objects'))).toEqual(['quarantine']);
  expect(await store.quarantine('s/a.txt')).toBe(false);
});

test('one that a crash cut short before it began anew ends with the new bytes', async () => {
  await put('older bytes');
  await store.quarantine('s/a.txt');
  await put('bytes');
  await rm(pathOf('quarantine/s/a.txt#meta'));
  expect(await store.quarantine('s/a.txt')).toBe(true);
  expect(await quarantined()).toBe('bytes');
});

test('metadata that a put left alone is not moved onto what is quarantined', async () => {
  await put('bytes');
  await store.quarantine('s/a.txt');
  await mkdir(pathOf('s'), { recursive: true });
  await writeFile(pathOf('s/a.txt#meta'), '{}');
  expect(await store.quarantine('s/a.txt')).toBe(false);
  expect(await quarantined()).toBe('bytes');
});

test('metadata that nobody can read any more moves along', async () => {
  await put('bytes');
  await writeFile(pathOf('s/a.txt#meta'), 'not JSON');
  expect(await store.quarantine('s/a.txt')).toBe(true);
  expect(await readdir(pathOf('quarantine/s'))).toEqual(['a.txt', 'a.txt#meta']);
});
