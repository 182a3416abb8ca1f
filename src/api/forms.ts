import type { RequestHandler, Router } from 'express';
import type { StoredFacts } from '#domain';
import { newAssetId, newBatchId } from '#queues/ids.ts';
import { objectKey, stagingKey } from '#storage/keys.ts';
import type { Source } from '#storage/store.ts';
import { type Access, callerOf } from './auth.ts';
import { correlationIdOf, logOf } from './correlation.ts';
import { invalid } from './field-error.ts';
import { type FormFile, readForm } from './form.ts';
import { type PlannedFile, takeIn } from './intake.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { contentType, filename, uploadFields } from './schemas.ts';
import { typeOf } from './uploads.ts';

interface StagedFile extends StoredFacts {
  readonly filename: string;
  readonly contentType: string;
}

/** The most S3 keeps as one object: 5 TiB. */
const MAX_FILE = 5 * 1024 ** 4;

/** `POST /v1/uploads/files`: files as a form, streamed to staging as they arrive; fields may come last. */
export function forms(router: Router, ports: ApiPorts, access: Access): void {
  const { store } = ports;
  const post: RequestHandler = async (req, res) => {
    const caller = callerOf(res);
    access.requireScope(caller, 'assets:write');
    const batchId = newBatchId();
    const keys: string[] = [];
    const staged: StagedFile[] = [];
    const take = async (file: FormFile, signal: AbortSignal) => {
      const facts = checkFile(file);
      const key = stagingKey(batchId, file.index);
      keys.push(key);
      staged[file.index] = {
        ...facts,
        ...(await store.put(key, partSource(file), { ...facts, maxSize: MAX_FILE, signal })),
      };
    };
    try {
      const { assetType, visibility, ...entity } = parse(uploadFields, await readForm(req, take));
      await access.require(caller, 'assets:write', entity.project);
      const intake = {
        batchId,
        entity,
        correlationId: correlationIdOf(res),
        createdBy: caller.id,
        createdAt: ports.clock(),
      };
      const files = staged.map(({ filename, contentType, s3Key: key, size, checksum }): PlannedFile => {
        const assetId = newAssetId();
        const s3Key = objectKey(entity, assetType, assetId, filename);
        const origin = { kind: 'staged', key } as const;
        return { assetId, assetType, filename, contentType, s3Key, visibility, metadata: {}, origin, size, checksum };
      });
      res.status(202).json(await takeIn(ports, intake, files, logOf(res)));
    } catch (error) {
      const left = (err: unknown) => logOf(res).warn({ err, keys }, 'staged bytes were left behind');
      await store.deleteMany(keys).catch(left);
      throw error;
    }
  };
  resource(router, '/v1/uploads/files', { post });
}

/** The name and media type of a part; a type that says nothing is guessed from the name. */
function checkFile(file: FormFile): { filename: string; contentType: string } {
  const name = filename.safeParse(file.filename);
  if (!name.success) {
    const message = name.error.issues[0]?.message ?? 'Must be a name.';
    throw invalid([{ path: `file[${file.index}].filename`, message }]);
  }
  const type = contentType.safeParse(file.contentType);
  const says = type.success && type.data !== 'application/octet-stream';
  return { filename: name.data, contentType: says ? type.data : typeOf(name.data) };
}

/** A part of a form can be read once, from its start. */
function partSource({ stream }: FormFile): Source {
  return { open: async () => stream };
}
