import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pieces } from '#test/sources.ts';
import { createDiskTree } from './disk-tree.ts';
import { createDiskUploads } from './disk-uploads.ts';
import { writeObject } from './disk-write.ts';

let dir: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'reelay-write-')));
});
afterEach(() => rm(dir, { recursive: true }));

test('a parent pruned while the folder of an object is made is made again', async () => {
  const tree = createDiskTree(dir);
  let turns = 0;
  // The first turn is what making a folder comes to when its parent was there a moment ago.
  const ensure = (directory: string) =>
    ++turns === 1 ? mkdir(directory).then(() => undefined) : tree.ensure(directory);
  const uploads = createDiskUploads(join(dir, 'uploads'));
  const disk = { tree: { ...tree, ensure }, uploads, tmp: dir, clock: Date.now };
  await writeObject(disk, 'staging/batch/0', pieces(Buffer.from('some bytes')), { contentType: 'text/plain' });
  expect(await readFile(join(dir, 'staging/batch/0'), 'utf8')).toBe('some bytes');
  expect(turns).toBe(2);
});
