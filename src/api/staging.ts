import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';
import { newStagingId, type StagingRecord, type StagingState } from '#queues/staging.ts';
import { type DirectUpload, dropDirect } from '#storage/direct-uploads.ts';
import { stagingKey } from '#storage/keys.ts';
import { type Access, type Caller, callerOf, scoped } from './auth.ts';
import { jsonBody, parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { roomed } from './room.ts';
import { stagingBody, stagingParams } from './schemas.ts';
import { createStagingView, lacking } from './staging-view.ts';

/** Bytes may wait this long for an upload that uses them, in milliseconds. */
const LIFETIME_MS = 86_400_000;
/** Larger bytes come in parts, so that a broken connection costs one part only. */
const LARGEST_WHOLE = 64 * 1024 ** 2;

/** Bytes that should not pass through the API: their owner puts them into staging himself, then uploads with origin `staged`. */
export function staging(router: Router, ports: ApiPorts, access: Access): void {
  const { store, producer, clock } = ports;
  const records = producer.staging;
  const view = createStagingView(ports);

  const post: RequestHandler = async (req, res) => {
    const { project, size, checksum, parts = size > LARGEST_WHOLE } = parse(stagingBody, req.body);
    const caller = callerOf(res);
    await access.require(caller, 'assets:write', project);
    const stagingId = newStagingId();
    const key = stagingKey(stagingId, 'bytes');
    const createdAt = clock();
    const fields = {
      ...{ stagingId, project, owner: caller.id, openKey: key, key, size, checksum },
      ...{ createdAt, expiresAt: createdAt + LIFETIME_MS },
      uploadId: parts ? await store.direct.begin(key) : undefined,
    };
    await records.open(fields);
    res.status(201).json(await view({ ...fields, state: 'open' }));
  };

  const get: RequestHandler = async (req, res) => {
    const { stagingId } = parse(stagingParams, req.params);
    res.json(await view(await find(callerOf(res), stagingId)));
  };

  const complete: RequestHandler = async (req, res) => {
    const { stagingId } = parse(stagingParams, req.params);
    const record = await find(callerOf(res), stagingId);
    if (record.state === 'open') {
      requireState(record, await records.move(stagingId, 'complete', await finish(record)), 'complete');
    } else requireState(record, record.state, 'complete', 'used');
    res.json(await view(await find(callerOf(res), stagingId)));
  };

  const remove: RequestHandler = async (req, res) => {
    const { stagingId } = parse(stagingParams, req.params);
    const record = await find(callerOf(res), stagingId);
    requireState(record, await records.move(stagingId, 'aborted'), 'aborted');
    await dropDirect(store, record);
    await store.deleteMany([record.key]);
    res.status(204).end();
  };

  async function find(caller: Caller, stagingId: string): Promise<StagingRecord> {
    const record = await records.get(stagingId);
    if (record && (await access.allows(caller, 'assets:write', record.project))) return record;
    throw new AppError('NOT_FOUND', `There is nothing staged as ${stagingId}.`);
  }

  /** Makes sure that the bytes are there and stay as they are; gives where, and their checksum where it was taken. */
  async function finish(record: StagingRecord): Promise<Partial<Pick<StagingRecord, 'key' | 'checksum'>>> {
    if (record.uploadId === undefined) return seal(record);
    await join({ key: record.openKey, uploadId: record.uploadId }, record.size);
    await requireSize(record);
    return {};
  }

  /** Joins the parts, once: an upload that is gone was joined by a request whose answer got lost, so the object decides. */
  async function join(upload: DirectUpload, size: number): Promise<void> {
    try {
      const parts = await store.direct.parts(upload);
      const missing = lacking(size, store.direct.partSize(size), parts).map(({ number }) => number);
      if (missing[0] !== undefined) {
        const message = `${missing.length} parts are missing or have another size, part ${missing[0]} first.`;
        throw new AppError('STAGING_INCOMPLETE', message, { details: { missing: missing.slice(0, 100) } });
      }
      await store.direct.complete(upload);
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
    }
  }

  async function requireSize({ openKey, size }: StagingRecord): Promise<void> {
    const found = await store.head(openKey);
    if (!found)
      throw new AppError('STAGING_INCOMPLETE', 'The bytes have not been sent.', { details: { missing: [1] } });
    if (found.size === size) return;
    throw new AppError('SIZE_MISMATCH', `${found.size} bytes were staged, not the ${size} announced.`);
  }

  /** A signed PUT can be sent again until it expires: what an upload will use lies where none leads. */
  async function seal(record: StagingRecord): Promise<Pick<StagingRecord, 'key' | 'checksum'>> {
    await requireSize(record);
    const { openKey, stagingId, checksum } = record;
    const options = { contentType: 'application/octet-stream', checksum };
    const sealed = await store.copy(openKey, stagingKey(stagingId, 'sealed'), options);
    await store.deleteMany([openKey]);
    return { key: sealed.s3Key, checksum: sealed.checksum };
  }

  const writes = scoped(access, 'assets:write');
  resource(router, '/v1/staging', { post: [writes, roomed(ports), ...jsonBody, post] });
  resource(router, '/v1/staging/:stagingId', { get: [writes, get], delete: [writes, remove] });
  resource(router, '/v1/staging/:stagingId/complete', { post: [writes, complete] });
}

const ENDED: Partial<Record<StagingState, string>> = {
  used: 'An upload uses the staged bytes already.',
  aborted: 'The staged bytes were given up.',
  expired: 'The staged bytes have expired.',
};

/** Throws `GONE` for what has ended, `CONFLICT` for what an upload uses, unless it is in one of the `wanted` states. */
export function requireState(
  { stagingId }: Pick<StagingRecord, 'stagingId'>,
  state: StagingState | undefined,
  ...wanted: StagingState[]
): void {
  if (state !== undefined && wanted.includes(state)) return;
  if (state === 'open')
    throw new AppError('STAGING_INCOMPLETE', 'The staged bytes were not completed.', { details: { stagingId } });
  const message = (state && ENDED[state]) ?? 'The staged bytes are gone.';
  throw new AppError(state === 'used' ? 'CONFLICT' : 'GONE', message, { details: { stagingId } });
}
