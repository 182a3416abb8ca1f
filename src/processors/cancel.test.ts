import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { createBatches } from '#queues/batches.ts';
import { createCancellations } from '#queues/cancellations.ts';
import { newBatchId } from '#queues/ids.ts';
import { jobOptions } from '#queues/lanes.ts';
import { someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

const bench = await openWorkerBench();
const { origin, api, work } = bench;

const serve = () => bench.serve();
const cancel = (jobId: string | undefined) => api.producer.cancelJob(jobId ?? '');
const held = (first = 3) => {
  const file = origin.hold(Buffer.from('held bytes'), first);
  return { ...file, file: someFile({ kind: 'url', url: file.url }) };
};
/** The batch, the row and the job say the same, and nothing is left in the store. */
async function expectCancelled(
  batchId: string,
  jobId: string | undefined,
  { assetId, s3Key }: { assetId: string; s3Key: string },
) {
  expect((await work.whenDone(batchId)).failed).toMatchObject([
    { assetId, error: { code: 'CANCELLED', retryable: false } },
  ]);
  expect(await work.whenJob(jobId, 'completed')).toMatchObject({ error: { code: 'CANCELLED' } });
  expect((await work.whenRow(assetId, 'error')).error?.code).toBe('CANCELLED');
  expect(await api.store.head(s3Key)).toBeUndefined();
  expect(await readdir(join(api.dir, 'store', 'tmp')).catch(() => [])).toEqual([]);
}
const first = <T>([item]: readonly T[]): T => item as T;

describe('cancelling a job', () => {
  it('that waits ends it as soon as a worker is there, and takes its staged bytes away', async () => {
    const { key, files } = await work.staged(['wait']);
    const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
    const jobId = first(jobs).jobId;
    expect(await cancel(jobId)).toMatchObject({ state: 'waiting', error: { code: 'CANCELLED' } });
    expect(await cancel(jobId)).toMatchObject({ state: 'waiting' });
    const { metrics, producer } = await serve();
    await expectCancelled(batchId, jobId, first(files));
    expect(await api.store.head(key)).toBeUndefined();
    const { values } = await metrics.uploads.get();
    expect(values).toContainEqual({ labels: { lane: 'small', result: 'cancelled' }, value: 1 });
    expect(await api.redis.keys('*:pending:p')).toEqual([]);
    expect(await producer.lanes.small.getFailedCount()).toBe(0);
    expect(await cancel(jobId)).toMatchObject({ state: 'completed', error: { code: 'CANCELLED' } });
  });

  it('passes those that wait before it', async () => {
    const packs = Array.from({ length: 20 }, () => ({ lane: 'small' as const, files: [held().file] }));
    const { jobs } = await work.accept(packs);
    await cancel(jobs.at(-1)?.jobId);
    const [next] = await api.producer.lanes.small.getWaiting(0, 0);
    expect(next?.id).toBe(jobs.at(-1)?.jobId);
    await Promise.all(jobs.map(({ jobId }) => cancel(jobId)));
    await serve();
    await Promise.all(jobs.map(({ jobId }) => work.whenJob(jobId, 'completed')));
  });

  it('that is active in another process stops it within a part', async () => {
    const { metrics } = await serve();
    const { file, read, readers } = held();
    const { batchId, jobs } = await work.accept([{ lane: 'small', files: [file] }]);
    await read();
    expect(await cancel(first(jobs).jobId)).toMatchObject({ state: 'active', error: { code: 'CANCELLED' } });
    await expectCancelled(batchId, first(jobs).jobId, file);
    expect(readers()).toBe(0);
    expect((await metrics.operations.get()).values).toContainEqual({ labels: { operation: 'upload' }, value: 0 });
  });

  it('is found out though nobody heard the call', async () => {
    await serve();
    const { file, read } = held();
    const { batchId, jobs } = await work.accept([{ lane: 'small', files: [file] }]);
    await read();
    await createCancellations(api.redis, api.config.redis.prefix).request(batchId, first(jobs).jobId);
    await expectCancelled(batchId, first(jobs).jobId, file);
  });

  it('that moved to another lane finds it there', async () => {
    await serve();
    const { url, requests } = origin.hold(Buffer.alloc(17 * 1024 * 1024 + 1), 17 * 1024 * 1024);
    const file = someFile({ kind: 'url', url });
    const { batchId, jobs } = await work.accept([{ lane: 'small', files: [file] }]);
    await until(() => requests() === 2, { within: 15_000, what: 'the second lane to read' });
    expect(await cancel(first(jobs).jobId)).toMatchObject({ lane: 'large' });
    await expectCancelled(batchId, first(jobs).jobId, file);
  });

  it('of a batch that is not accepted ends it once it is', async () => {
    await serve();
    const batchId = newBatchId();
    const { files, key } = await work.staged(['early']);
    const batches = createBatches(api.redis, api.config.redis.prefix);
    const { entity, ...facts } = work.request;
    const record = { owner: 'key', total: 1, size: 1, createdAt: Date.now(), firstSeq: 1, packs: 1 };
    await batches.open({ batchId, entity, ...record }, 'accepting');
    const data = { ...facts, batchId, entity, createdAt: Date.now(), awaitAcceptance: true };
    const pack = { ...data, files: [{ ...first(files), acceptedSeq: 1 }] };
    await api.producer.lanes.small.add('upload', pack, jobOptions('upload', `${batchId}-0`));
    await work.whenJob(`${batchId}-0`, 'delayed');
    await cancel(`${batchId}-0`);
    expect((await api.producer.getBatch(batchId))?.failed).toEqual([]);
    await batches.accept(batchId);
    await expectCancelled(batchId, `${batchId}-0`, first(files));
    expect(await api.store.head(key)).toBeUndefined();
  });

  it('keeps what the pack had committed', async () => {
    await serve();
    const good = await work.staged(['kept']);
    const { file, cut, read, requests } = held();
    cut(1);
    const { batchId, jobs } = await work.accept([{ lane: 'small', files: [...good.files, file] }]);
    await read();
    await work.whenRow(first(good.files).assetId, 'ready');
    await until(() => requests() === 2, { within: 10_000, what: 'the second try' });
    await cancel(first(jobs).jobId);
    await expectCancelled(batchId, first(jobs).jobId, file);
    expect((await work.whenDone(batchId)).successful).toEqual([first(good.files).assetId]);
    expect(await api.store.head(first(good.files).s3Key)).toBeDefined();
  });

  it('is refused once it is committed or has failed, and for a job nobody knows there is nothing', async () => {
    await serve();
    const good = await work.staged(['done']);
    const ready = await work.accept([{ lane: 'small', files: good.files }]);
    await work.whenJob(first(ready.jobs).jobId, 'completed');
    await expect(cancel(first(ready.jobs).jobId)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await work.rowOf(first(good.files).assetId)).toMatchObject({ status: 'ready' });

    const missing = someFile({ kind: 'staged', key: `staging/${newBatchId()}/0` }, { size: 5 });
    const failed = await work.accept([{ lane: 'small', files: [missing] }]);
    await work.whenJob(first(failed.jobs).jobId, 'failed');
    await expect(cancel(first(failed.jobs).jobId)).rejects.toThrow(/has failed already/);
    expect(await cancel('b_nobody-0')).toBeUndefined();
  });
});

describe('cancelling a job that waits for Convex', () => {
  it('ends it when Convex is back, which refuses a commit that comes late', async () => {
    await serve();
    await api.engine.kill();
    const { files, key } = await work.staged(['parked']);
    const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
    const jobId = first(jobs).jobId;
    await work.whenJob(jobId, 'delayed');
    expect(await api.store.head(first(files).s3Key)).toBeDefined();
    const shown = await cancel(jobId);
    expect(shown).toMatchObject({ error: { code: 'CANCELLED' } });
    await api.engine.start();
    await expectCancelled(batchId, jobId, first(files));
    expect(await api.store.head(key)).toBeUndefined();

    const { metadata: _metadata, origin: _origin, size: _size, checksum: _checksum, ...facts } = first(files);
    const late = {
      facts: { ...facts, ...work.request, metadata: {}, batchId, jobId, acceptedSeq: 1, createdAt: 1 },
      stored: { s3Key: facts.s3Key, size: 6, checksum: 'ab'.repeat(32), verifiedBy: 'readback' as const },
      ...{ uploadedAt: 1, attempt: 1, maxAttempts: 3 },
    };
    expect(await api.metadata.commit([late])).toMatchObject([{ ok: false, error: { code: 'CANCELLED' } }]);
  });
});

describe('cancelling and committing at the same moment', () => {
  it('lets the first win, and never both', async () => {
    await serve();
    const outcomes = { ready: 0, cancelled: 0 };
    for (let round = 0; round < 60; round += 1) {
      const { files } = await work.staged([`race ${round}`]);
      const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
      const { jobId } = first(jobs);
      // Ever later, so that every step of the job is met.
      const spin = performance.now() + round / 2;
      await until(() => performance.now() >= spin, { within: 5_000, what: 'the moment', every: 0 });
      const cancelled = await cancel(jobId).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(AppError);
          expect(error).toMatchObject({ code: 'CONFLICT' });
          return false;
        },
      );
      outcomes[cancelled ? 'cancelled' : 'ready'] += 1;
      const batch = await work.whenDone(batchId);
      const { assetId } = first(files);
      expect(batch.successful).toEqual(cancelled ? [] : [assetId]);
      const row = await work.whenRow(assetId, cancelled ? 'error' : 'ready');
      expect(row.error?.code).toBe(cancelled ? 'CANCELLED' : undefined);
    }
    expect(outcomes.ready).toBeGreaterThan(0);
    expect(outcomes.cancelled).toBeGreaterThan(0);
  });
});
