import { describe, expect, it } from 'vitest';
import type { Metadata } from '#metadata/metadata.ts';
import type { AcceptedBatch } from '#queues/producer.ts';
import { type PlannedFile, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import type { WorkerParts } from '#test/worker-parts.ts';
import { startWorker } from './start.ts';

const bench = await openWorkerBench();
const { origin, api, work } = bench;

type Lanes = WorkerParts['config']['lanes'];
const serve = (lanes: Lanes, own?: Partial<WorkerParts>) => bench.serve(own, lanes);
const ALL: Lanes = ['small', 'large', 'maintenance'];
const accept = (packs: readonly (readonly PlannedFile[])[]): Promise<AcceptedBatch> =>
  work.accept(
    packs.map((files) => ({ lane: 'small', files })),
    { commit: 'batch' },
  );
const first = <T>([item]: readonly T[]): T => item as T;
const ids = (files: readonly PlannedFile[]) => files.map(({ assetId }) => assetId);
const held = () => {
  const file = origin.hold(Buffer.from('held bytes'), 3);
  return { ...file, file: someFile({ kind: 'url', url: file.url }) };
};

describe('a batch that is committed at its end', () => {
  it('has no row ready before each of its files is stored, and then all of them', async () => {
    const { metrics } = await serve(ALL);
    const { files, key } = await work.staged(['one', 'two']);
    const { file, release } = held();
    const { batchId, jobs } = await accept([files, [file]]);
    await work.whenJob(first(jobs).jobId, 'completed');
    expect(await api.store.head(first(files).s3Key)).toBeDefined();
    expect(await api.store.head(key)).toBeDefined();
    expect(await api.producer.getBatch(batchId)).toMatchObject({ state: 'running', successful: [], failed: [] });
    expect((await api.metadata.getAssets(ids(files))).filter(({ status }) => status === 'ready')).toEqual([]);

    release();
    expect(await work.whenDone(batchId)).toMatchObject({ failed: [] });
    const rows = await api.metadata.getAssets(ids([...files, file]));
    expect(rows.map(({ status, progress }) => ({ status, progress }))).toEqual(
      Array.from({ length: 3 }, () => ({ status: 'ready', progress: 1 })),
    );
    await until(async () => (await api.store.head(key)) === undefined, {
      within: 5_000,
      what: 'the staged bytes to go',
    });
    expect((await metrics.uploads.get()).values).toContainEqual({
      labels: { lane: 'small', result: 'ready' },
      value: 3,
    });
    await until(async () => (await api.redis.keys('*:stored')).length === 0, {
      within: 5_000,
      what: 'nothing to wait',
    });
  });

  it('is done with the failure of a bad file, and the rest is ready', async () => {
    await serve(ALL);
    const good = await work.staged(['good']);
    const bad = await work.staged(['other bytes']);
    const broken = { ...first(bad.files), checksum: 'ab'.repeat(32) };
    const { batchId, jobs } = await accept([[...good.files, broken]]);
    const batch = await work.whenDone(batchId);
    expect(batch.successful).toEqual(ids(good.files));
    expect(batch.failed).toMatchObject([
      { assetId: broken.assetId, error: { code: 'CHECKSUM_MISMATCH' }, attempt: 1, maxAttempts: 3 },
    ]);
    expect(await work.whenJob(first(jobs).jobId, 'failed')).toMatchObject({ error: { code: 'CHECKSUM_MISMATCH' } });
    expect(await api.store.head(good.key)).toBeDefined();
  });

  it('is committed by the replay of a failed pack too, while its first end is still at work', async () => {
    const release = Promise.withResolvers<void>();
    const { metadata } = api;
    const applyBatches: Metadata['applyBatches'] = async (updates) => {
      await release.promise;
      await metadata.applyBatches(updates);
    };
    await serve(ALL, { metadata: { ...metadata, applyBatches } });
    const good = await work.staged(['first']);
    const { files, key } = await work.staged(['late', 'later']);
    const bytes = Buffer.from('latelater');
    await api.store.deleteMany([key]);
    const { batchId, jobs } = await accept([good.files, files]);
    expect((await work.whenDone(batchId)).failed).toMatchObject([
      { error: { code: 'ORIGIN_NOT_FOUND' } },
      { error: { code: 'ORIGIN_NOT_FOUND' } },
    ]);
    const failed = await work.whenJob(jobs[1]?.jobId, 'failed');
    await work.whenRow(first(files).assetId, 'error');

    await api.stage(key, bytes);
    await (await api.producer.lanes.small.getJob(failed.jobId))?.retry('failed', { resetAttemptsMade: true });
    for (const { assetId } of files) await work.whenRow(assetId, 'ready');
    release.resolve();
    expect((await work.whenDone(batchId)).failed).toEqual([]);
    await work.whenJob(failed.jobId, 'completed');
  });

  it('shows a pack cancelled after it was stored as cancelled, and commits the rest', async () => {
    await serve(ALL);
    const { files, key } = await work.staged(['no', 'longer']);
    const { file, release } = held();
    const { batchId, jobs } = await accept([files, [file]]);
    await work.whenJob(first(jobs).jobId, 'completed');
    expect(await api.producer.cancelJob(first(jobs).jobId)).toMatchObject({ error: { code: 'CANCELLED' } });
    release();
    const batch = await work.whenDone(batchId);
    expect(batch.successful).toEqual([file.assetId]);
    expect(batch.failed).toMatchObject([{ error: { code: 'CANCELLED' } }, { error: { code: 'CANCELLED' } }]);
    for (const { assetId, s3Key } of files) {
      expect((await work.whenRow(assetId, 'error')).error?.code).toBe('CANCELLED');
      expect(await api.store.head(s3Key)).toBeUndefined();
    }
    await until(async () => (await api.store.head(key)) === undefined, {
      within: 5_000,
      what: 'the staged bytes to go',
    });
    await expect(api.producer.cancelJob(jobs[1]?.jobId ?? '')).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('the job that ends a batch', () => {
  const many = (count: number) => work.staged(Array.from({ length: count }, (_, index) => `file ${index}`));
  const packs = (files: readonly PlannedFile[]) =>
    Array.from({ length: Math.ceil(files.length / 50) }, (_, index) => files.slice(index * 50, index * 50 + 50));

  it('commits all of it though it was killed in the middle', async () => {
    await serve(['small']);
    const { files } = await many(230);
    const { batchId, jobs } = await accept(packs(files));
    await Promise.all(jobs.map(({ jobId }) => work.whenJob(jobId, 'completed')));

    // Commits the first files for good, and is never heard of again.
    const stuck = Promise.withResolvers<void>();
    const parts = await bench.openParts();
    const commit: Metadata['commit'] = async (items) => {
      await api.metadata.commit(items);
      stuck.resolve();
      return new Promise(() => undefined);
    };
    const killed = await startWorker(
      { ...parts, metadata: { ...parts.metadata, commit } },
      { ...parts.config, lanes: ['maintenance'] },
    );
    await stuck.promise;
    // Its connections end, as at a crash, and it hears of nothing. That which waits for jobs would take the call for the next.
    parts.redis.disconnect();
    killed.close().catch(() => undefined);
    // Which of them comes first is nobody's to say.
    const committed = (await api.metadata.getAssets(ids(files))).filter(({ status }) => status === 'ready');
    expect(committed.length).toBeGreaterThan(0);
    expect(committed.length).toBeLessThan(230);
    expect((await api.producer.getBatch(batchId))?.state).toBe('running');

    await serve(['maintenance']);
    const batch = await work.whenDone(batchId);
    expect(batch).toMatchObject({ total: 230, failed: [] });
    const rows = await api.metadata.getAssets(ids(files));
    expect(rows.filter(({ status }) => status === 'ready')).toHaveLength(230);
  });

  it('is a dead letter with what Convex refused, and its replay asks again', async () => {
    await serve(ALL);
    const good = await many(2);
    const bad = await work.staged(['of no scene']);
    const wrong = { ...first(bad.files), assetType: 'combined_video' as const };
    const { batchId } = await accept([[...good.files, wrong]]);
    const batch = await work.whenDone(batchId);
    expect(batch.successful.toSorted()).toEqual(ids(good.files).toSorted());
    expect(batch.failed).toMatchObject([{ assetId: wrong.assetId, error: { code: 'VALIDATION_FAILED' } }]);

    const end = () => api.producer.lanes.maintenance.getJob(`${batchId}-end`);
    const whenFailed = (starts: number) =>
      until(async () => (await end())?.attemptsStarted === starts && (await end())?.isFailed(), {
        within: 10_000,
        what: 'the end to fail',
      });
    await whenFailed(1);
    expect((await end())?.failedReason).toMatch(/^VALIDATION_FAILED: The commit of 1 of 3 files was refused/);
    await (await end())?.retry('failed', { resetAttemptsMade: true });
    await whenFailed(2);
    expect((await work.whenDone(batchId)).failed).toHaveLength(1);
  });

  it('waits for Convex and then commits what is left', async () => {
    await serve(['small']);
    const { files } = await many(3);
    const { batchId, jobs } = await accept([files]);
    await work.whenJob(first(jobs).jobId, 'completed');
    await api.engine.kill();
    await serve(['maintenance']);
    await until(async () => (await api.producer.lanes.maintenance.getJobState(`${batchId}-end`)) === 'delayed', {
      within: 10_000,
      what: 'the end to wait',
    });
    await api.engine.start();
    expect(await work.whenDone(batchId)).toMatchObject({ failed: [] });
  });
});
