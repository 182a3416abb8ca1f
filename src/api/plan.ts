import pLimit from 'p-limit';
import type { Planned } from '#answers';
import { AppError, toAppError } from '#errors';
import { assetIdOf } from '#queues/ids.ts';
import { packFiles } from '#queues/packing.ts';
import { objectKey } from '#storage/keys.ts';
import { sha256 } from './checksum.ts';
import { atFiles, type FileError } from './field-error.ts';
import type { PlannedFile } from './intake.ts';
import { mediaType } from './media-type.ts';
import type { Located, OriginLocator } from './origins.ts';
import type { UploadBody } from './schemas.ts';

const LOOKING_AT_ONCE = 32;

/** Names each asset and finds its bytes. Throws the first file's error, with all of them in `details.fields`. */
export async function planFiles(body: UploadBody, batchId: string, locate: OriginLocator): Promise<PlannedFile[]> {
  const errors: FileError[] = [];
  const { files, ...entity } = body;
  const planned = await pLimit(LOOKING_AT_ONCE).map(files, async (file, index): Promise<PlannedFile | undefined> => {
    try {
      const located = check(file, await locate(file.origin, entity.project, file.size));
      const { assetType, filename, visibility, metadata, lock } = file;
      const assetId = assetIdOf(batchId, index);
      const type = mediaType(assetType, filename, file.contentType);
      const s3Key = objectKey(entity, assetType, assetId, filename);
      return { assetId, assetType, filename, ...type, s3Key, visibility, metadata, lock, ...located };
    } catch (thrown) {
      errors.push({ path: `files[${index}]`, error: toAppError(thrown) });
      return undefined;
    }
  });
  const [first, ...others] = errors;
  if (first) throw atFiles(first, ...others);
  return planned.filter((file) => file !== undefined);
}

/** What a dry run answers. */
export function toPlan(planned: readonly PlannedFile[]): Planned {
  const jobs = packFiles(planned).map(({ lane, files }) => ({
    lane,
    size: files.reduce((sum, { size = 0 }) => sum + size, 0),
    files: files.map(({ filename }) => ({ filename })),
  }));
  return { outcome: 'planned', jobs };
}

/** Holds what was found against what was announced. Throws `EMPTY_FILE`, `SIZE_MISMATCH`, `CHECKSUM_MISMATCH`. */
function check(file: UploadBody['files'][number], located: Located): Located & { checksum?: string | undefined } {
  const size = located.size ?? file.size;
  if (size === 0) throw new AppError('EMPTY_FILE', `${file.filename} has no bytes.`);
  if (file.size !== undefined && file.size !== size) {
    throw new AppError('SIZE_MISMATCH', `${file.filename} has ${size} bytes, not ${file.size}.`);
  }
  const checksum = 'bytes' in located ? sha256(located.bytes) : (located.checksum ?? file.checksum);
  if (file.checksum !== undefined && file.checksum !== checksum) {
    throw new AppError('CHECKSUM_MISMATCH', `${file.filename} has the SHA-256 ${checksum}, not ${file.checksum}.`);
  }
  return { ...located, size, checksum };
}
