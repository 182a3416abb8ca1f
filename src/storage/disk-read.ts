import { constants } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { type DiskTree, META_SUFFIX } from './disk-tree.ts';
import { parseField } from './journal.ts';
import type { ObjectInfo } from './store.ts';
import { isMissing } from './system-error.ts';

const meta = z.object({
  size: z.int().positive(),
  checksum: z.string(),
  contentType: z.string(),
  filename: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  lastModified: z.number(),
});
/** What is kept beside an object. */
export type Meta = Readonly<z.infer<typeof meta>>;

/** An object opened for reading, or undefined when there is none. The caller closes the handle. */
export async function openObject(tree: DiskTree, key: string): Promise<{ handle: FileHandle; meta: Meta } | undefined> {
  const path = tree.pathOf(key);
  await tree.assertInside(dirname(path));
  const handle = await orMissing(open(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  if (handle === undefined) return undefined;
  try {
    const file = await handle.stat();
    const found = file.isFile() ? await readMeta(path) : undefined;
    // As large as it is now: what was cut short is found by its size.
    if (found !== undefined) return { handle, meta: { ...found, size: file.size } };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

/** Facts of an object, as the port gives them. */
export function objectInfo(key: string, { size, checksum, contentType, filename, lastModified }: Meta): ObjectInfo {
  return { key, size, checksum, contentType, filename, lastModified, etag: `"${checksum}"` };
}

/** Facts that are damaged are none: nobody can say whether the bytes are whole, and one such object must not spoil a list. */
async function readMeta(path: string): Promise<Meta | undefined> {
  return parseField(meta, await orMissing(readFile(path + META_SUFFIX, 'utf8')));
}

async function orMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
