import type { Request, RequestHandler, Router } from 'express';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import { assetIdOf, newBatchId } from '#queues/ids.ts';
import { objectKey, stagingKey } from '#storage/keys.ts';
import type { Source, Store } from '#storage/store.ts';
import { type Access, callerOf, scoped } from './auth.ts';
import { logOf } from './correlation.ts';
import { atFiles, invalid } from './field-error.ts';
import { type FormFile, readForm } from './form.ts';
import { idempotencyKeyOf, once } from './idempotency.ts';
import { inFlight } from './in-flight.ts';
import { intakeOf, type PlannedFile, takeIn } from './intake.ts';
import { mediaType } from './media-type.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { roomed } from './room.ts';
import { contentType, filename, formQuery, MAX_FILE, uploadFields } from './schemas.ts';
import { dropStaged } from './staged.ts';

interface StagedFile extends Pick<StoredFacts, 's3Key' | 'size' | 'checksum'> {
  readonly filename: string;
  /** The media type the part named. */
  readonly said: string | undefined;
}

/** Staged bytes are read by workers only. */
const STAGED_TYPE = 'application/octet-stream';

/** `POST /v1/uploads/files`: files as a form, streamed to staging as they arrive; fields may come last. */
export function forms(router: Router, ports: ApiPorts, access: Access): void {
  const post: RequestHandler = async (req, res) => {
    parse(formQuery, req.query);
    const key = idempotencyKeyOf(req);
    const staged: string[] = [];
    const undo = () => dropStaged(ports.store, staged, logOf(res));
    const { fields, files } = await stageForm(req, ports.store, staged)
      .then(async (form) => {
        await access.require(callerOf(res), 'assets:write', form.fields.project);
        return form;
      })
      .catch(async (error: unknown) => {
        await undo();
        throw error;
      });
    const { assetType, visibility, metadata, ...entity } = fields;
    const body = { fields, files: files.map(({ s3Key: _, ...facts }) => facts) };
    const answer = await once(ports.producer, res, { key, body, undo }, async (batchId) => {
      const planned = files.map(({ filename, said, s3Key: key, size, checksum }, index): PlannedFile => {
        const assetId = assetIdOf(batchId, index);
        const s3Key = objectKey(entity, assetType, assetId, filename);
        const type = mediaType(assetType, filename, said);
        const origin = { kind: 'staged', key } as const;
        return { assetId, assetType, filename, ...type, s3Key, visibility, metadata, origin, size, checksum };
      });
      return takeIn(ports, intakeOf(ports, res, { batchId, entity, staged }), planned, logOf(res));
    });
    res.status(202).json(answer);
  };
  resource(router, '/v1/uploads/files', {
    post: [inFlight(ports, 'intake'), scoped(access, 'assets:write'), roomed(ports), post],
  });
}

/** Reads a form, its files to staging. Every key is in `staged` before anything is written there. */
async function stageForm(req: Request, store: Store, staged: string[]) {
  // A name of its own: which batch the files are for is known only once all of the form was read.
  const name = newBatchId();
  const files: StagedFile[] = [];
  const fields = await readForm(req, async (file, signal) => {
    const filename = nameOf(file);
    const s3Key = stagingKey(name, file.index);
    staged.push(s3Key);
    const options = { contentType: STAGED_TYPE, maxSize: MAX_FILE, signal };
    const { size, checksum } = await store.put(s3Key, partSource(file), options).catch((error: unknown) => {
      throw atFile(file, error);
    });
    files[file.index] = { s3Key, size, checksum, filename, said: saidType(file) };
  });
  return { fields: parse(uploadFields, fields), files };
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
