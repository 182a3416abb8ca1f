import { createHash, randomUUID } from 'node:crypto';
import { constants, renameSync, statSync } from 'node:fs';
import { copyFile, type FileHandle, link, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { Disk } from './disk-open.ts';
import { type Meta, openObject } from './disk-read.ts';
import { META_SUFFIX, moveInto } from './disk-tree.ts';
import { assertChecksum, assertSize, type Measured, measure } from './measured.ts';
import type { PutOptions, Source } from './store.ts';
import { systemCode } from './system-error.ts';

/** Errors of `link` that only mean: not on this filesystem, or not once more. */
const CANNOT_LINK = new Set(['EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP']);
const READ_SIZE = 1024 * 1024;

/** Writes a source to a temporary file, verifies what the disk holds, and moves it to its key. */
export async function writeObject(disk: Disk, key: string, source: Source, options: PutOptions): Promise<StoredFacts> {
  disk.tree.pathOf(key);
  assertUnlocked(options);
  return storeMeasured(disk, key, measure(source, options), options);
}

/** The same for bytes that are measured: `facts` are asked for once `chunks` came to its end. */
export function storeMeasured(
  disk: Disk,
  key: string,
  { chunks, facts }: { chunks: AsyncIterable<Buffer> | Iterable<Buffer>; facts: Measured['facts'] },
  options: PutOptions,
): Promise<StoredFacts> {
  return withTemp(disk, async (temp) => {
    const handle = await open(temp, 'wx+');
    try {
      await writeAll(handle, chunks, options.onProgress);
      await handle.datasync();
      assertHeld(await hashFile(handle, facts().size, { signal: options.signal }), facts().checksum);
    } finally {
      await handle.close();
    }
    return publish(disk, key, temp, facts(), options);
  });
}

/** Gives the bytes of `from` a second name, `to`: by a hard link, which costs no room, or else by copying. */
export async function copyObject(disk: Disk, from: string, to: string, options: PutOptions): Promise<StoredFacts> {
  disk.tree.pathOf(to);
  assertUnlocked(options);
  const source = await openObject(disk.tree, from);
  if (source === undefined) throw new AppError('NOT_FOUND', 'There is no object to copy.', { details: { key: from } });
  await source.handle.close();
  const { size, checksum } = source.meta;
  assertSize(size, options.maxSize);
  assertChecksum(checksum, options.checksum);
  return withTemp(disk, async (temp) => {
    await linkOrCopy(disk.tree.pathOf(from), temp);
    const handle = await open(temp, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      await handle.datasync();
      assertHeld(await hashFile(handle, size, options), checksum);
    } finally {
      await handle.close();
    }
    return publish(disk, to, temp, { size, checksum }, options);
  });
}

export function assertUnlocked({ lock }: PutOptions): void {
  if (lock) throw new AppError('LOCK_NOT_APPLIED', 'A disk cannot keep an object from being deleted.');
}

async function withTemp<T>(disk: Disk, work: (temp: string) => Promise<T>): Promise<T> {
  const temp = join(disk.tmp, randomUUID());
  try {
    return await work(temp);
  } finally {
    await rm(temp, { force: true });
  }
}

/** Writes one chunk while the next is read and hashed. */
async function writeAll(
  handle: FileHandle,
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  onProgress: PutOptions['onProgress'],
) {
  let written = 0;
  let writing = Promise.resolve(0);
  const write = async (chunk: Buffer) => {
    await handle.writeFile(chunk);
    return chunk.length;
  };
  const settle = async () => {
    const bytes = await writing;
    written += bytes;
    if (bytes > 0) onProgress?.(written);
  };
  for await (const chunk of chunks) {
    await settle();
    writing = write(chunk);
    writing.catch(() => undefined);
  }
  await settle();
}

/** SHA-256 of the first `size` bytes as the disk gives them back; `SIZE_MISMATCH` when they are fewer. */
export async function hashFile(
  handle: FileHandle,
  size: number,
  { signal, onProgress }: Pick<PutOptions, 'signal' | 'onProgress'>,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(size, READ_SIZE));
  for (let done = 0; done < size; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - done), done);
    if (bytesRead === 0) throw new AppError('SIZE_MISMATCH', `The disk holds ${done} of ${size} bytes.`);
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
    onProgress?.(done);
  }
  return hash.digest('hex');
}

export function assertHeld(held: string, expected: string): void {
  if (held === expected) return;
  throw new AppError('CHECKSUM_MISMATCH', 'The disk gives back other bytes than were written to it.', {
    details: { expected, held },
  });
}

async function linkOrCopy(from: string, temp: string): Promise<void> {
  try {
    await link(from, temp);
  } catch (error) {
    if (!CANNOT_LINK.has(systemCode(error) ?? '')) throw error;
    await copyFile(from, temp, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

/** Makes a verified temporary file the object, its metadata first, and resolves once both survive a power cut. */
export async function publish(
  disk: Disk,
  key: string,
  temp: string,
  facts: { size: number; checksum: string },
  { contentType, filename, metadata, signal }: PutOptions,
): Promise<StoredFacts> {
  const path = disk.tree.pathOf(key);
  const meta: Meta = { ...facts, contentType, filename, metadata, lastModified: disk.clock() };
  await withTemp(disk, async (tempMeta) => {
    const handle = await open(tempMeta, 'wx');
    try {
      await handle.writeFile(JSON.stringify(meta));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    // Both renames at once: of two puts to one key, one wins with bytes and metadata alike.
    await moveInto(disk.tree, dirname(path), () => {
      // Metadata may not come without its bytes, which another process may have taken.
      statSync(temp);
      renameSync(tempMeta, path + META_SUFFIX);
      renameSync(temp, path);
    });
  });
  await disk.tree.sync(dirname(path));
  return { s3Key: key, ...facts, verifiedBy: 'readback' };
}
