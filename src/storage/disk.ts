import { open, rm, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import pLimit from 'p-limit';
import { AppError } from '#errors';
import { createDiskDirect } from './disk-direct.ts';
import { onDisk } from './disk-errors.ts';
import { walkKeys } from './disk-list.ts';
import { type Disk, openDisk } from './disk-open.ts';
import { abandonParts } from './disk-parts.ts';
import { quarantineObject } from './disk-quarantine.ts';
import { objectInfo, openObject } from './disk-read.ts';
import { putResumable } from './disk-resume.ts';
import { META_SUFFIX } from './disk-tree.ts';
import { signDiskUrl } from './disk-url.ts';
import { copyObject, writeObject } from './disk-write.ts';
import { stopOf } from './journal.ts';
import { assertKey } from './keys.ts';
import { cutRange } from './range.ts';
import type { ObjectInfo, Store } from './store.ts';
import { isMissing, systemCode } from './system-error.ts';

interface DiskStoreOptions {
  /** Folder of the store; made at first use. Objects are the files of `objects/` in it, named by their keys. */
  readonly dir: string;
  /** Signs the URLs that the API serves. */
  readonly urlSecret: Buffer;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

const PAGE = 1_000;
const READ_SIZE = 256 * 1024;
/** Files worked on at once in calls about many keys. */
const PARALLEL = 16;

/**
 * The store on one machine's disk. An object becomes visible by rename, after its bytes were flushed, read back and
 * compared; its metadata lies beside it, as `<name>#meta`. Several processes may share the folder.
 */
export function createDiskStore({ dir, urlSecret, clock }: DiskStoreOptions): Store {
  let opened: Promise<Disk> | undefined;

  function disk(): Promise<Disk> {
    opened ??= openDisk(dir, clock).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  }

  async function head(key: string): Promise<ObjectInfo | undefined> {
    const found = await openObject((await disk()).tree, key);
    await found?.handle.close();
    return found && objectInfo(key, found.meta);
  }

  const store: Omit<Store, 'direct'> = {
    kind: 'disk',
    canLock: async () => false,
    put: (key, source, { journal, ...options }) =>
      journal
        ? onDisk(async () => putResumable(await disk(), key, source, { ...options, journal }), stopOf(options))
        : onDisk(async () => writeObject(await disk(), key, source, options), options.signal),
    copy: (from, to, options) => onDisk(async () => copyObject(await disk(), from, to, options), options.signal),
    abandon: (key, journal) =>
      onDisk(async () => {
        assertKey(key);
        await abandonParts(await disk(), key, journal);
      }),
    listUploads: (prefix, { after = '', limit = PAGE } = {}) =>
      onDisk(async () => (await disk()).uploads.list(prefix, after, limit)),
    abortUpload: (upload) => onDisk(async () => (await disk()).uploads.end(upload)),
    quarantine: (key) => onDisk(async () => quarantineObject((await disk()).tree, key)),
    head: (key) => onDisk(() => head(key)),

    get: (key, { range, signal } = {}) =>
      onDisk(async () => {
        signal?.throwIfAborted();
        const found = await openObject((await disk()).tree, key);
        if (found === undefined) throw new AppError('NOT_FOUND', 'There is no such object.', { details: { key } });
        try {
          // A stream given a signal that is aborted fails before anybody listens, which would end the process.
          signal?.throwIfAborted();
          const part = range && cutRange(range, found.meta.size);
          const body = found.handle.createReadStream({ ...part, highWaterMark: READ_SIZE });
          return { body: signal ? addAbortSignal(signal, body) : body, info: objectInfo(key, found.meta) };
        } catch (error) {
          await found.handle.close();
          throw error;
        }
      }, signal),

    list: (prefix, { after = '', limit = PAGE } = {}) =>
      onDisk(async () => {
        const { tree } = await disk();
        const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
        if (folder !== '') assertKey(folder.slice(0, -1));
        await tree.assertInside(join(tree.root, folder.slice(0, -1)));
        const keys: string[] = [];
        for await (const key of walkKeys(tree.root, prefix, after, folder)) {
          keys.push(key);
          if (keys.length > limit) break;
        }
        const page = keys.slice(0, limit);
        const found = await pLimit(PARALLEL).map(page, head);
        return {
          objects: found.filter((info) => info !== undefined),
          next: keys.length > limit ? page.at(-1) : undefined,
        };
      }),

    deleteMany: (keys) =>
      onDisk(async () => {
        const { tree } = await disk();
        await pLimit(PARALLEL).map(keys, async (key) => {
          const path = tree.pathOf(key);
          await tree.assertInside(dirname(path));
          await unlink(path).catch(ignoreNoObject);
          await unlink(path + META_SUFFIX).catch(ignoreNoObject);
          await tree.prune(dirname(path));
        });
      }),

    async signGet(key, { expiresInSeconds, filename, download = false }) {
      assertKey(key);
      const expiresAt = (Math.floor(clock() / 1000) + expiresInSeconds) * 1000;
      return { url: signDiskUrl(urlSecret, { key, expiresAt, filename, download }), expiresAt };
    },

    check: () =>
      onDisk(async () => {
        const probe = join((await disk()).tmp, `check-${process.pid}`);
        const handle = await open(probe, 'w');
        try {
          await handle.writeFile('reelay');
        } finally {
          await handle.close();
          await rm(probe, { force: true });
        }
      }),

    close: async () => undefined,
  };
  return { ...store, direct: createDiskDirect({ store, urlSecret, clock }) };
}

/** Neither a missing file nor a folder is an object. */
function ignoreNoObject(error: unknown): void {
  if (!isMissing(error) && systemCode(error) !== 'EISDIR') throw error;
}
