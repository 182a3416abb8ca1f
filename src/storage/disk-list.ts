import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { META_SUFFIX } from './disk-tree.ts';
import { isMissing } from './system-error.ts';

/** Entries of one directory held at once, so that memory does not grow with the directory. */
const BATCH = 1_000;

/** Orders keys by their bytes in UTF-8, as S3 does; JavaScript's own order differs beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * Keys of the files under `root` that start with `prefix` and come after `after`, in byte order. `folder` (ends with
 * `/`, or is empty) is where to look: the prefix's own folder at first.
 */
export async function* walkKeys(root: string, prefix: string, after: string, folder: string): AsyncGenerator<string> {
  const wanted = (key: string) =>
    key.endsWith('/')
      ? (key.startsWith(prefix) || prefix.startsWith(key)) && (compareKeys(key, after) > 0 || after.startsWith(key))
      : key.startsWith(prefix) && compareKeys(key, after) > 0;
  for (let from: string | undefined; ; ) {
    const start: string | undefined = from;
    const entries = await smallest(
      join(root, folder),
      folder,
      (key) => wanted(key) && (start === undefined || compareKeys(key, start) > 0),
    );
    for (const entry of entries) {
      if (entry.endsWith('/')) yield* walkKeys(root, prefix, after, entry);
      else yield entry;
    }
    if (entries.length < BATCH) return;
    from = entries.at(-1);
  }
}

/** The first `BATCH` entries of a directory that `wanted` takes, sorted; a folder's end with `/`, which sorts with them. */
async function smallest(path: string, folder: string, wanted: (key: string) => boolean): Promise<string[]> {
  let kept: string[] = [];
  const sortAndCut = () => {
    kept = kept.sort(compareKeys).slice(0, BATCH);
  };
  const directory = await opendir(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  for await (const entry of directory ?? ([] as Dirent[])) {
    const key = folder + entry.name + (entry.isDirectory() ? '/' : '');
    const isObject = entry.isDirectory() || (entry.isFile() && !entry.name.endsWith(META_SUFFIX));
    if (isObject && wanted(key)) kept.push(key);
    if (kept.length >= 4 * BATCH) sortAndCut();
  }
  sortAndCut();
  return kept;
}
