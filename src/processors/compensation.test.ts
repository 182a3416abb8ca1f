import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { createReopening } from '#queues/reopening.ts';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';
import { type PlannedFile, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

const MIB = 1024 ** 2;
const bench = await openWorkerBench();
const { api, work } = bench;

/** A key that is revoked has its uploads refused at their commit, for good. */
const revoke = (revokedAt: number | undefined) =>
  api.metadata.putApiKey({
    ...{ keyId: 'key', secretHash: 'ab'.repeat(32), name: 'a key', scopes: ['assets:write'], createdAt: 0 },
    ...(revokedAt === undefined ? {} : { revokedAt }),
  });
const first = <T>([item]: readonly T[]): T => item as T;
const accept = async (files: readonly PlannedFile[]) => {
  const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
  return { batchId, jobId: first(jobs).jobId };
};
const replay = async (jobId: string) =>
  (await api.producer.lanes.small.getJob(jobId))?.retry('failed', { resetAttemptsMade: true });
const quarantined = async () => (await api.metadata.listQuarantined({ limit: 100 })).objects;
const forget = async (...keys: string[]) => {
  await api.store.deleteMany(keys.map(quarantineKey));
  await api.metadata.removeQuarantined(keys);
};

describe('a stored file whose commit is refused for good', () => {
  beforeEach(() => revoke(1));
  afterEach(() => revoke(undefined));

  it('is quarantined and noted before its job is a dead letter, and a replay needs no origin', async () => {
    await bench.serve();
    const { files, key } = await work.staged(['kept whole']);
    const { assetId, s3Key, size, checksum } = first(files);
    const { batchId, jobId } = await accept(files);
    expect(await work.whenJob(jobId, 'failed')).toMatchObject({ error: { code: 'FORBIDDEN' } });
    expect(await api.store.head(s3Key)).toBeUndefined();
    expect(await api.store.head(quarantineKey(s3Key))).toMatchObject({ size });
    expect(await quarantined()).toMatchObject([{ s3Key, assetId, reason: { code: 'FORBIDDEN' } }]);
    expect((await work.whenRow(assetId, 'error')).error?.code).toBe('FORBIDDEN');
    expect((await work.whenDone(batchId)).failed).toMatchObject([{ assetId, error: { code: 'FORBIDDEN' } }]);

    await api.store.deleteMany([key]);
    await revoke(undefined);
    await replay(jobId);
    expect(await work.whenRow(assetId, 'ready')).toMatchObject({ size, checksum, s3Key });
    await work.whenJob(jobId, 'completed');
    expect(await api.store.head(s3Key)).toMatchObject({ size });
    expect(await api.store.head(quarantineKey(s3Key))).toBeUndefined();
    expect(await quarantined()).toEqual([]);
  });

  it('is stored anew by a replay that finds other bytes in quarantine', async () => {
    await bench.serve();
    const { files } = await work.staged(['the right bytes']);
    const { assetId, s3Key, checksum } = first(files);
    const { jobId } = await accept(files);
    await work.whenJob(jobId, 'failed');
    await api.stage(quarantineKey(s3Key), Buffer.from('others'));
    await revoke(undefined);
    await replay(jobId);
    expect(await work.whenRow(assetId, 'ready')).toMatchObject({ checksum });
    await forget(s3Key);
  });

  it('says so when a replay finds neither it nor its origin', async () => {
    await bench.serve();
    const { files, key } = await work.staged(['gone for good']);
    const { s3Key } = first(files);
    const { jobId } = await accept(files);
    await work.whenJob(jobId, 'failed');
    await api.store.deleteMany([key, quarantineKey(s3Key)]);
    await replay(jobId);
    const codes = async () => (await api.producer.getJob(jobId))?.error;
    await until(async () => (await codes())?.code === 'ORIGIN_NOT_FOUND', { within: 10_000, what: 'another verdict' });
    expect(await codes()).toMatchObject({
      message: 'The store has neither the file, which it had before, nor the staged bytes that it came from.',
      nextAction: 'Upload the file again.',
    });
    await forget(s3Key);
  });

  it('waits for a store that is away with the same error, and is a dead letter then', async () => {
    const quarantine: Store['quarantine'] = async () => {
      throw new AppError('STORE_UNAVAILABLE', 'The store is away.');
    };
    const own: { store: Store } = { store: { ...api.store, quarantine } };
    await bench.serve(own);
    const { files } = await work.staged(['wait for me']);
    const { assetId, s3Key } = first(files);
    const { batchId, jobId } = await accept(files);
    expect(await work.whenJob(jobId, 'delayed')).toMatchObject({ error: { code: 'FORBIDDEN' }, attempts: 0 });
    expect((await work.whenDone(batchId)).failed).toMatchObject([{ assetId }]);
    await expect(api.producer.cancelJob(jobId)).rejects.toMatchObject({ code: 'CONFLICT' });
    await bench.stopWorkers();
    await bench.serve();
    await work.whenJob(jobId, 'failed');
    expect(await quarantined()).toMatchObject([{ s3Key }]);
    await forget(s3Key);
  });

  it('is quarantined by the end of its batch too, whose replay brings it back', async () => {
    await bench.serve();
    const { files, key } = await work.staged(['all', 'together']);
    const { batchId } = await work.accept([{ lane: 'small', files }], { commit: 'batch' });
    const end = () => api.producer.lanes.maintenance.getJob(`${batchId}-end`);
    await until(async () => (await end())?.isFailed(), { within: 10_000, what: 'the end to fail' });
    const keys = files.map(({ s3Key }) => s3Key);
    expect((await quarantined()).map(({ s3Key }) => s3Key)).toEqual(keys.toSorted());
    for (const s3Key of keys) expect(await api.store.head(s3Key)).toBeUndefined();

    await api.store.deleteMany([key]);
    await revoke(undefined);
    await (await end())?.retry('failed', { resetAttemptsMade: true });
    for (const { assetId, checksum } of files) expect(await work.whenRow(assetId, 'ready')).toMatchObject({ checksum });
    const noneFailed = async () => (await work.whenDone(batchId)).failed.length === 0;
    await until(noneFailed, { within: 10_000, what: 'the batch to be told' });
    for (const s3Key of keys) expect(await api.store.head(s3Key)).toBeDefined();
    expect(await quarantined()).toEqual([]);
  });

  it('leaves nothing in quarantine when its replay is cancelled', async () => {
    await bench.serve();
    const { files } = await work.staged(['not wanted any more']);
    const { assetId, s3Key } = first(files);
    const { jobId } = await accept(files);
    await work.whenJob(jobId, 'failed');
    await api.engine.kill();
    await replay(jobId);
    await work.whenJob(jobId, 'delayed');
    await api.producer.cancelJob(jobId);
    await api.engine.start();
    await work.whenJob(jobId, 'completed');
    expect((await work.whenRow(assetId, 'error')).error?.code).toBe('CANCELLED');
    expect(await api.store.head(quarantineKey(s3Key))).toBeUndefined();
    expect(await quarantined()).toEqual([]);
  });

  it('is ready when its commit was made all the same', async () => {
    const { files } = await work.staged(['an answer was lost']);
    const { assetId } = first(files);
    // The first commit is made and never answered; the second is refused.
    const { metadata } = api;
    let made = 0;
    await revoke(undefined);
    await bench.serve({
      metadata: {
        ...metadata,
        async commit(items) {
          made += 1;
          await metadata.commit(items);
          throw new AppError('METADATA_REJECTED', 'It answered with something else.');
        },
      },
    });
    const { batchId, jobId } = await accept(files);
    await work.whenJob(jobId, 'completed');
    expect(made).toBeGreaterThan(0);
    expect(await work.whenDone(batchId)).toMatchObject({ successful: [assetId], failed: [] });
    expect(await quarantined()).toEqual([]);
  });
});

describe('a large file that failed for good', () => {
  it('leaves no begun put behind', async () => {
    await bench.serve();
    const film = bench.origin.hold(Buffer.alloc(20 * MIB, 'film'), 12 * MIB);
    film.cut(3);
    const file = someFile({ kind: 'url', url: film.url }, { size: 20 * MIB });
    const { jobs } = await work.accept([{ lane: 'large', files: [file] }]);
    await until(async () => (await api.store.listUploads('')).uploads.length === 1, {
      within: 10_000,
      what: 'the put to begin',
    });
    await work.whenJob(first(jobs).jobId, 'failed');
    expect((await api.store.listUploads('')).uploads).toEqual([]);
  });
});

describe('a completed upload whose object is gone', () => {
  it('is started again for that file alone', async () => {
    await bench.serve();
    const path = join(api.dir, 'again.py');
    await writeFile(path, 'again');
    const file = someFile({ kind: 'path', path });
    const { files } = await work.staged(['stays']);
    const { jobId } = await accept([file, ...files]);
    await work.whenJob(jobId, 'completed');
    const { checksum = '', version } = await work.whenRow(file.assetId, 'ready');
    await api.store.deleteMany([file.s3Key]);
    const error = new AppError('OBJECT_MISSING', 'It is gone.').toFacts();
    expect(await api.metadata.withdraw([{ assetId: file.assetId, checksum, error }])).toEqual([file.assetId]);

    const { reopenFiles } = createReopening(api.redis, 'worker', api.producer.lanes);
    expect(await reopenFiles('nobody-0', [file.assetId])).toBe(false);
    // Its staged bytes went with the commit.
    expect(await reopenFiles(jobId, [files[0]?.assetId ?? ''])).toBe(false);
    expect(await reopenFiles(jobId, [file.assetId])).toBe(true);
    expect(await work.whenRow(file.assetId, 'ready')).toMatchObject({ checksum, version });
    await work.whenJob(jobId, 'completed');
    expect(await api.store.head(file.s3Key)).toMatchObject({ size: 5 });
  });
});
