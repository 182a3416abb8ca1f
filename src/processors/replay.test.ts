import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Metadata } from '#metadata/metadata.ts';
import { type PlannedFile, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import type { WorkerParts } from '#test/worker-parts.ts';

const bench = await openWorkerBench();
const { origin, api, work } = bench;

const serve = (own?: Partial<WorkerParts>) => bench.serve(own);
const accept = async (files: readonly PlannedFile[]) => {
  const { batchId, jobs } = await work.accept([{ lane: 'small', files }], { commit: 'batch' });
  return { batchId, jobId: jobs[0]?.jobId ?? '' };
};
const replay = async (jobId: string) =>
  (await api.producer.lanes.small.getJob(jobId))?.retry('failed', { resetAttemptsMade: true });
const first = <T>([item]: readonly T[]): T => item as T;
/** A file that fails in each of the first tries, however often it is replayed before `release`. */
const failing = () => {
  const { url, cut, release } = origin.hold(Buffer.from('held bytes'), 3);
  cut(3);
  return { file: someFile({ kind: 'url', url }), cut, release };
};

describe('a replayed pack whose files are stored in two starts', () => {
  it('is committed whole while the end after the first of them is still at work', async () => {
    const release = Promise.withResolvers<void>();
    const { metadata } = api;
    let records = 0;
    const applyBatches: Metadata['applyBatches'] = async (updates) => {
      records += 1;
      if (records === 2) await release.promise;
      await metadata.applyBatches(updates);
    };
    await serve({ metadata: { ...metadata, applyBatches } });
    const { files, key } = await work.staged(['one file']);
    await api.store.deleteMany([key]);
    const late = failing();
    const { batchId, jobId } = await accept([...files, late.file]);
    await work.whenJob(jobId, 'failed');
    await until(() => records === 1, { within: 10_000, what: 'the first end' });

    await api.stage(key, Buffer.from('one file'));
    late.cut(1);
    await replay(jobId);
    await until(() => records === 2, { within: 10_000, what: 'the end after the first file' });
    late.release();
    await work.whenJob(jobId, 'completed');
    release.resolve();
    expect(await work.whenDone(batchId)).toMatchObject({ failed: [] });
    await work.whenRow(late.file.assetId, 'ready');
  });

  it('is committed as far as it can be when the end after the first of them is a dead letter', async () => {
    await serve();
    const { files, key } = await work.staged(['of no scene']);
    await api.store.deleteMany([key]);
    const wrong = { ...first(files), assetType: 'combined_video' as const };
    const late = failing();
    const { batchId, jobId } = await accept([wrong, late.file]);
    await work.whenJob(jobId, 'failed');
    await work.whenDone(batchId);

    await api.stage(key, Buffer.from('of no scene'));
    late.cut(1);
    await replay(jobId);
    await until(async () => (await api.producer.lanes.maintenance.getFailedCount()) > 0, {
      within: 10_000,
      what: 'the commit to be refused',
    });
    late.release();
    await work.whenJob(jobId, 'completed');
    await work.whenRow(late.file.assetId, 'ready');
    const batch = await work.whenDone(batchId);
    expect(batch.successful).toEqual([late.file.assetId]);
    expect(batch.failed).toMatchObject([{ error: { code: 'VALIDATION_FAILED' } }]);
  });
});

describe('many replayed packs of one batch', () => {
  it('have it end a few times, not once for each of them', async () => {
    const { metadata } = api;
    const told: number[] = [];
    const applyBatches: Metadata['applyBatches'] = async (updates) => {
      told.push(...updates.map(({ ready }) => ready));
      await metadata.applyBatches(updates);
    };
    await serve({ metadata: { ...metadata, applyBatches } });
    const path = join(api.dir, 'late.py');
    const packs = Array.from({ length: 40 }, () => ({
      lane: 'small' as const,
      files: [someFile({ kind: 'path', path })],
    }));
    const { jobs } = await work.accept(packs);
    for (const { jobId } of jobs) await work.whenJob(jobId, 'failed');
    await until(() => told.length > 0, { within: 10_000, what: 'the batch to end' });

    const before = told.length;
    await writeFile(path, 'print(1)');
    await Promise.all(jobs.map(({ jobId }) => replay(jobId)));
    await until(() => told.at(-1) === 40, { within: 20_000, what: 'the batch to end with all of them' });
    expect(told.length - before).toBeLessThan(20);
  });
});
