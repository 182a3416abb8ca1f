import { mkdir, opendir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { compareKeys } from './disk-list.ts';
import { META_SUFFIX } from './disk-tree.ts';
import type { OpenUpload } from './store.ts';
import { isMissing } from './system-error.ts';

const openUpload = z.object({ key: z.string(), uploadId: z.uuid(), startedAt: z.number() });

/** The folder of the puts that another process can go on with: the bytes of each, and beside them what it is. */
export interface DiskUploads {
  /** The file of its bytes. */
  pathOf(uploadId: string): string;
  /** Notes an upload whose file is made next. */
  begin(upload: OpenUpload): Promise<void>;
  /** Removes the bytes of an upload and the note of it; one that is not there is fine. */
  end(uploadId: string): Promise<void>;
  list(prefix: string, after: string, limit: number): Promise<{ uploads: OpenUpload[]; next?: string | undefined }>;
  /** The note of an upload, undefined when there is none. */
  find(uploadId: string): Promise<OpenUpload | undefined>;
}

/** The uploads of a folder, which is made when the first one begins. */
export function createDiskUploads(folder: string): DiskUploads {
  const pathOf = (uploadId: string) => join(folder, uploadId);

  async function find(uploadId: string): Promise<OpenUpload | undefined> {
    if (!z.uuid().safeParse(uploadId).success) return undefined;
    try {
      return openUpload.parse(JSON.parse(await readFile(pathOf(uploadId) + META_SUFFIX, 'utf8')));
    } catch (error) {
      // What a crash cut short is no upload: its id was not told to anybody.
      if (isMissing(error) || error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  }

  return {
    pathOf,
    find,
    async begin(upload) {
      await mkdir(folder, { recursive: true });
      await writeFile(pathOf(upload.uploadId) + META_SUFFIX, JSON.stringify(upload), { flag: 'wx', flush: true });
    },
    async end(uploadId) {
      await rm(pathOf(uploadId), { force: true });
      await rm(pathOf(uploadId) + META_SUFFIX, { force: true });
    },
    async list(prefix, after, limit) {
      const found = (await all(folder, find)).filter((upload) => upload.key.startsWith(prefix));
      const rest = found.filter((upload) => compareKeys(place(upload), after) > 0).sort(byPlace);
      const uploads = rest.slice(0, limit);
      const last = uploads.at(-1);
      return { uploads, next: last && rest.length > limit ? place(last) : undefined };
    },
  };
}

async function all(folder: string, find: DiskUploads['find']): Promise<OpenUpload[]> {
  const directory = await opendir(folder).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  const found: OpenUpload[] = [];
  for await (const { name } of directory ?? []) {
    const upload = name.endsWith(META_SUFFIX) && (await find(name.slice(0, -META_SUFFIX.length)));
    if (upload) found.push(upload);
  }
  return found;
}

/** Sorts by key and tells uploads of one key apart: a key has no zero byte, and none sorts before it. */
const place = ({ key, uploadId }: OpenUpload) => `${key}\0${uploadId}`;
const byPlace = (a: OpenUpload, b: OpenUpload) => compareKeys(place(a), place(b));
