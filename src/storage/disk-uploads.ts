import { type FileHandle, open, opendir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { compareKeys } from './disk-list.ts';
import { META_SUFFIX, syncDirectory } from './disk-tree.ts';
import type { OpenUpload } from './store.ts';
import { isMissing } from './system-error.ts';

const openUpload = z.object({ key: z.string(), uploadId: z.uuid(), startedAt: z.number() });

/** The folder of the puts that another process can go on with: the bytes of each, and beside them a note of what it is. */
export interface DiskUploads {
  /** The file of its bytes. */
  pathOf(uploadId: string): string;
  /** Notes an upload and makes its file, durably; or leaves neither. */
  begin(upload: OpenUpload): Promise<FileHandle>;
  /** The file of an upload, undefined when it is gone. */
  open(uploadId: string): Promise<FileHandle | undefined>;
  /** Removes bytes and note of an upload of `key`; one that is not there is fine. */
  end(upload: Pick<OpenUpload, 'key' | 'uploadId'>): Promise<void>;
  /** `after` and `next` are places between uploads, for this method alone. */
  list(prefix: string, after: string, limit: number): Promise<{ uploads: OpenUpload[]; next?: string | undefined }>;
  /** True for a file of the folder that belongs to no upload. */
  isStray(name: string): Promise<boolean>;
}

/** `folder` exists. */
export function createDiskUploads(folder: string): DiskUploads {
  const pathOf = (uploadId: string) => join(folder, uploadId);
  const notePathOf = (uploadId: string) => pathOf(uploadId) + META_SUFFIX;

  async function find(uploadId: string): Promise<OpenUpload | undefined> {
    if (!z.uuid().safeParse(uploadId).success) return undefined;
    try {
      return openUpload.parse(JSON.parse(await readFile(notePathOf(uploadId), 'utf8')));
    } catch (error) {
      // A note that a crash cut short is of an upload whose id nobody was told.
      if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
      return orGone(error);
    }
  }

  /** Nothing can be said of an upload while its folder is gone, as when the disk is not mounted: ENOENT then. */
  async function orGone(error: unknown): Promise<undefined> {
    if (!isMissing(error)) throw error;
    await stat(folder);
    return undefined;
  }

  return {
    pathOf,
    async begin(upload) {
      const [path, notePath] = [pathOf(upload.uploadId), notePathOf(upload.uploadId)];
      let handle: FileHandle | undefined;
      try {
        await writeFile(notePath, JSON.stringify(upload), { flag: 'wx', flush: true });
        handle = await open(path, 'wx+');
        await syncDirectory(folder);
        return handle;
      } catch (error) {
        // A full disk is tried again for a day: each try would leave a note.
        await handle?.close();
        for (const left of handle ? [path, notePath] : [notePath])
          await rm(left, { force: true }).catch(() => undefined);
        throw error;
      }
    },
    open: (uploadId) => open(pathOf(uploadId), 'r+').catch(orGone),
    async end({ key, uploadId }) {
      if ((await find(uploadId))?.key !== key) return;
      await rm(pathOf(uploadId), { force: true });
      await rm(notePathOf(uploadId), { force: true });
    },
    async list(prefix, after, limit) {
      const found: OpenUpload[] = [];
      for await (const { name } of await opendir(folder)) {
        const upload = name.endsWith(META_SUFFIX) ? await find(idOf(name)) : undefined;
        if (upload?.key.startsWith(prefix) && compareKeys(place(upload), after) > 0) found.push(upload);
      }
      const uploads = found.sort((a, b) => compareKeys(place(a), place(b))).slice(0, limit);
      const last = uploads.at(-1);
      return { uploads, next: last && found.length > limit ? place(last) : undefined };
    },
    isStray: async (name) => (await find(idOf(name))) === undefined,
  };
}

const idOf = (name: string) => (name.endsWith(META_SUFFIX) ? name.slice(0, -META_SUFFIX.length) : name);

/** Sorts by key and tells uploads of one key apart: a key has no zero byte, and none sorts before it. */
const place = ({ key, uploadId }: OpenUpload) => `${key}\0${uploadId}`;
