import { mkdir, opendir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createDiskTree, type DiskTree } from './disk-tree.ts';
import { createDiskUploads, type DiskUploads } from './disk-uploads.ts';

/** Where the disk store works: `tree` holds the objects, `uploads` and `tmp` what is not yet one, on the same filesystem. */
export interface Disk {
  readonly tree: DiskTree;
  readonly uploads: DiskUploads;
  readonly tmp: string;
  readonly clock: () => number;
}

/** A temporary file untouched for so long belongs to a process that crashed. */
const ABANDONED_MS = 3_600_000;

/** Makes what is missing of the folder, and removes what crashed processes left and nobody goes on with. */
export async function openDisk(dir: string, clock: () => number): Promise<Disk> {
  const [tmp, unfinished, objects] = [join(dir, 'tmp'), join(dir, 'uploads'), join(dir, 'objects')];
  for (const folder of [tmp, unfinished, objects]) await mkdir(folder, { recursive: true });
  const uploads = createDiskUploads(await realpath(unfinished));
  await sweep(tmp, clock, async () => true);
  await sweep(unfinished, clock, uploads.isStray);
  return { tree: createDiskTree(await realpath(objects)), uploads, tmp, clock };
}

async function sweep(folder: string, clock: () => number, isStray: (name: string) => Promise<boolean>): Promise<void> {
  for await (const { name } of await opendir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && found.mtimeMs < clock() - ABANDONED_MS && (await isStray(name))) await rm(path, { force: true });
  }
}
