import type { RequestHandler, Router } from 'express';
import pLimit from 'p-limit';
import { AppError, toAppError } from '#errors';
import { newAssetId, newBatchId } from '#queues/ids.ts';
import { objectKey } from '#storage/keys.ts';
import { createPathOpener, type PathOpener } from '#storage/source.ts';
import { type Access, callerOf, scoped } from './auth.ts';
import { logOf } from './correlation.ts';
import { atFiles, type FileError } from './field-error.ts';
import { inFlight } from './in-flight.ts';
import { intakeOf, type PlannedFile, sha256, takeIn } from './intake.ts';
import { mediaType } from './media-type.ts';
import { type Located, locate } from './origins.ts';
import { checkCount, jsonBody, parse, refuseOptions } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { LIMITS, type UploadBody, uploadBody } from './schemas.ts';

const LOOKING_AT_ONCE = 32;

/** `POST /v1/uploads`: many files of one scene or session, each with an origin. */
export function uploads(router: Router, ports: ApiPorts, access: Access): void {
  const openPath = createPathOpener(ports.config.uploadRoots);
  const post: RequestHandler = async (req, res) => {
    refuseOptions(req);
    checkCount(req.body?.files, LIMITS.files, 'files');
    const body = parse(uploadBody, req.body);
    await access.require(callerOf(res), 'assets:write', body.project);
    const { project, session, scene } = body;
    const intake = intakeOf(ports, res, newBatchId(), { project, session, scene });
    const files = await plan(body, openPath);
    res.status(202).json(await takeIn(ports, intake, files, logOf(res)));
  };
  resource(router, '/v1/uploads', {
    post: [inFlight(ports, 'intake'), scoped(access, 'assets:write'), ...jsonBody, post],
  });
}

/** Names each asset and finds its bytes. Throws the first file's error, with all of them in `details.fields`. */
async function plan({ project, session, scene, files }: UploadBody, openPath: PathOpener): Promise<PlannedFile[]> {
  const limit = pLimit(LOOKING_AT_ONCE);
  const errors: FileError[] = [];
  const planned = await Promise.all(
    files.map((file, index) =>
      limit(async (): Promise<PlannedFile | undefined> => {
        try {
          const located = check(file, await locate(file.origin, openPath));
          const { assetType, filename, visibility, metadata } = file;
          const assetId = newAssetId();
          return {
            assetId,
            assetType,
            filename,
            contentType: mediaType(assetType, filename, file.contentType),
            s3Key: objectKey({ project, session, scene }, assetType, assetId, filename),
            visibility,
            metadata,
            ...located,
          };
        } catch (thrown) {
          errors.push({ path: `files[${index}]`, error: toAppError(thrown) });
          return undefined;
        }
      }),
    ),
  );
  const [first, ...others] = errors;
  if (first) throw atFiles(first, ...others);
  return planned.filter((file) => file !== undefined);
}

/** Holds what was found against what was announced. Throws `EMPTY_FILE`, `SIZE_MISMATCH`, `CHECKSUM_MISMATCH`. */
function check(file: UploadBody['files'][number], located: Located): Located & { checksum?: string | undefined } {
  const size = located.size ?? file.size;
  if (size === 0) throw new AppError('EMPTY_FILE', `${file.filename} has no bytes.`);
  if (file.size !== undefined && file.size !== size) {
    throw new AppError('SIZE_MISMATCH', `${file.filename} has ${size} bytes, not ${file.size}.`);
  }
  const checksum = 'bytes' in located ? sha256(located.bytes) : file.checksum;
  if (file.checksum !== undefined && file.checksum !== checksum) {
    throw new AppError('CHECKSUM_MISMATCH', `${file.filename} has the SHA-256 ${checksum}, not ${file.checksum}.`);
  }
  return { ...located, size, checksum };
}
