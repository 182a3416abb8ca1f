import type { RequestHandler, Router } from 'express';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import { newAssetId, newBatchId } from '#queues/ids.ts';
import { objectKey, stagingKey } from '#storage/keys.ts';
import type { Source } from '#storage/store.ts';
import { type Access, callerOf, scoped } from './auth.ts';
import { logOf } from './correlation.ts';
import { atFiles, invalid } from './field-error.ts';
import { type FormFile, readForm } from './form.ts';
import { inFlight } from './in-flight.ts';
import { intakeOf, type PlannedFile, takeIn } from './intake.ts';
import { mediaType } from './media-type.ts';
import { parse, refuseOptions } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { contentType, filename, uploadFields } from './schemas.ts';
import { dropStaged } from './staged.ts';

interface StagedFile extends StoredFacts {
  readonly filename: string;
  /** The media type the part named. */
  readonly said: string | undefined;
}

/** Staged bytes are read by workers only. */
const STAGED_TYPE = 'application/octet-stream';
/** The most S3 keeps as one object: 5 TiB. */
const MAX_FILE = 5 * 1024 ** 4;

/** `POST /v1/uploads/files`: files as a form, streamed to staging as they arrive; fields may come last. */
export function forms(router: Router, ports: ApiPorts, access: Access): void {
  const { store } = ports;
  const post: RequestHandler = async (req, res) => {
    refuseOptions(req);
    const batchId = newBatchId();
    const keys: string[] = [];
    const staged: StagedFile[] = [];
    const take = async (file: FormFile, signal: AbortSignal) => {
      const filename = nameOf(file);
      const key = stagingKey(batchId, file.index);
      keys.push(key);
      const stored = await store
        .put(key, partSource(file), { contentType: STAGED_TYPE, maxSize: MAX_FILE, signal })
        .catch((error: unknown) => {
          throw atFile(file, error);
        });
      staged[file.index] = { ...stored, filename, said: saidType(file) };
    };
    try {
      const { assetType, visibility, ...entity } = parse(uploadFields, await readForm(req, take));
      await access.require(callerOf(res), 'assets:write', entity.project);
      const intake = intakeOf(ports, res, batchId, entity);
      const files = staged.map(({ filename, said, s3Key: key, size, checksum }): PlannedFile => {
        const assetId = newAssetId();
        const s3Key = objectKey(entity, assetType, assetId, filename);
        const contentType = mediaType(assetType, filename, said);
        const origin = { kind: 'staged', key } as const;
        return { assetId, assetType, filename, contentType, s3Key, visibility, metadata: {}, origin, size, checksum };
      });
      res.status(202).json(await takeIn(ports, intake, files, logOf(res)));
    } catch (error) {
      await dropStaged(store, keys, error, logOf(res));
      throw error;
    }
  };
  resource(router, '/v1/uploads/files', { post: [inFlight(ports, 'intake'), scoped(access, 'assets:write'), post] });
}

/** Throws `VALIDATION_FAILED` for a part whose file has no proper name. */
function nameOf({ index, filename: given }: FormFile): string {
  const name = filename.safeParse(given);
  if (name.success) return name.data;
  throw invalid([{ path: `file[${index}].filename`, message: name.error.issues[0]?.message ?? 'Must be a name.' }]);
}

/** An empty file by its name and part, as the JSON route says it; any other error stays what it is. */
function atFile({ index, filename }: FormFile, error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'EMPTY_FILE') return error;
  const named = new AppError('EMPTY_FILE', `${filename} has no bytes.`, { cause: error });
  return atFiles({ path: `file[${index}]`, error: named });
}

/** A media type that can stand in a header, or none. */
function saidType({ contentType: given }: FormFile): string | undefined {
  return contentType.safeParse(given).data;
}

/** A part of a form can be read once, from its start. */
function partSource({ stream }: FormFile): Source {
  return { open: async () => stream };
}
