import { randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import type { Disk } from './disk-open.ts';
import { parseField } from './journal.ts';
import type { Part } from './parts.ts';
import type { Journal } from './store.ts';

/** The file that a resumable put fills, of this process or gone on with from another. */
export interface PartFile {
  readonly handle: FileHandle;
  readonly upload: UploadRecord;
  /** Writes a part and notes it once it is on disk, unless it is there from before. Throws `StartAnew`. */
  hold(part: Part): Promise<void>;
}

/** Nothing can be built upon what a process before left, as when the source has other bytes now: they may not mix. */
export class StartAnew extends Error {
  override readonly name = 'StartAnew';
}

const uploadRecord = z.object({ key: z.string(), uploadId: z.uuid(), partSize: z.int().positive() });
const partRecord = z.object({ uploadId: z.uuid(), sha256: z.string() });
/** What the journal says of an upload. */
export type UploadRecord = z.infer<typeof uploadRecord>;

/** The upload of `key` that the journal knows. */
export async function journaledUpload(key: string, journal: Journal): Promise<UploadRecord | undefined> {
  const record = parseField(uploadRecord, (await journal.read()).upload);
  return record?.key === key ? record : undefined;
}

/** Removes the upload of `key` that the journal knows. */
export async function abandonParts(disk: Disk, key: string, journal: Journal): Promise<void> {
  const upload = await journaledUpload(key, journal);
  if (upload) await disk.uploads.end(upload);
}

/** Begins an upload, and writes it to the journal before any of its bytes. */
export async function beginParts(disk: Disk, key: string, partSize: number, journal: Journal): Promise<PartFile> {
  const upload = { key, uploadId: randomUUID(), partSize };
  const handle = await disk.uploads.begin({ ...upload, startedAt: disk.clock() });
  try {
    await journal.write(uploadFields(upload));
  } catch (error) {
    // Nobody else knows its id, so nobody else would end it.
    await handle.close();
    await disk.uploads.end(upload);
    throw error;
  }
  return partFile(handle, upload, {}, journal);
}

/** The file of an upload from before; undefined when it is gone. */
export async function reopenParts(disk: Disk, upload: UploadRecord, journal: Journal): Promise<PartFile | undefined> {
  const handle = await disk.uploads.open(upload.uploadId);
  return handle && partFile(handle, upload, await journal.read(), journal);
}

const uploadFields = (upload: UploadRecord) => ({ upload: JSON.stringify(upload) });

function partFile(
  handle: FileHandle,
  upload: UploadRecord,
  fields: Readonly<Record<string, string>>,
  journal: Journal,
): PartFile {
  /** SHA-256 of a part of this upload that was on disk. */
  function noted(number: number): string | undefined {
    const record = parseField(partRecord, fields[`part:${number}`]);
    return record?.uploadId === upload.uploadId ? record.sha256 : undefined;
  }

  return {
    handle,
    upload,
    async hold({ number, bytes, digest }) {
      const sha256 = digest.sha256.toString('hex');
      const before = noted(number);
      if (before !== undefined && before !== sha256) throw new StartAnew();
      const at = (number - 1) * upload.partSize;
      if (before !== undefined && (await holds(handle, bytes, at))) return;
      // Refused where the job is another's by now: the file may be its object already.
      await journal.write(uploadFields(upload));
      await writeAt(handle, bytes, at);
      await handle.datasync();
      const record = { uploadId: upload.uploadId, sha256 };
      await journal.write({ [`part:${number}`]: JSON.stringify(record) });
    },
  };
}

/** True when the disk gives back `bytes` from position `at` on. */
async function holds(handle: FileHandle, bytes: Buffer, at: number): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(Math.min(bytes.length, READ_SIZE));
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes.length - done), at + done);
    if (bytesRead === 0 || bytes.compare(buffer, 0, bytesRead, done, done + bytesRead) !== 0) return false;
    done += bytesRead;
  }
  return true;
}

const READ_SIZE = 1024 * 1024;

async function writeAt(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
