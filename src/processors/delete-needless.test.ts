import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { type PlannedFile, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

const bench = await openWorkerBench();
const { origin, api, work } = bench;

/** A worker whose store deletes nothing, for the reason it gives, until `mend`. */
async function serve(code: 'STORE_ACCESS_DENIED' | 'STORE_UNAVAILABLE') {
  const { store } = api;
  let broken = true;
  const deleteMany: typeof store.deleteMany = async (keys) => {
    if (broken) throw new AppError(code, 'No deletion is possible now.');
    await store.deleteMany(keys);
  };
  await bench.serve({ store: { ...store, deleteMany } });
  return {
    mend: () => {
      broken = false;
    },
  };
}
/** A batch committed at its end, of a pack that is cancelled when it was stored and one that is not. */
async function cancelledInPart(): Promise<{
  batchId: string;
  staged: string;
  cancelled: PlannedFile;
  other: PlannedFile;
}> {
  const { files, key } = await work.staged(['no longer']);
  const { url, release } = origin.hold(Buffer.from('held bytes'), 3);
  const [cancelled] = files as [PlannedFile];
  const other = someFile({ kind: 'url', url });
  const packs = [files, [other]].map((some) => ({ lane: 'small' as const, files: some }));
  const { batchId, jobs } = await work.accept(packs, { commit: 'batch' });
  const jobId = jobs[0]?.jobId ?? '';
  await work.whenJob(jobId, 'completed');
  await api.producer.cancelJob(jobId);
  release();
  return { batchId, staged: key, cancelled, other };
}
const whenGone = (key: string) =>
  until(async () => (await api.store.head(key)) === undefined, { within: 20_000, what: `${key} to go` });

describe('the end of a batch', () => {
  it('commits the rest though the store gives up nothing of what was cancelled', async () => {
    await serve('STORE_ACCESS_DENIED');
    const { batchId, cancelled, other } = await cancelledInPart();
    const batch = await work.whenDone(batchId);
    expect(batch.successful).toEqual([other.assetId]);
    expect(batch.failed).toMatchObject([{ assetId: cancelled.assetId, error: { code: 'CANCELLED' } }]);
    await until(async () => (await api.producer.lanes.maintenance.getJob(`${batchId}-end`)) === undefined, {
      within: 10_000,
      what: 'the end to be over',
    });
  });

  it('deletes once the store is back what nobody needs', async () => {
    const store = await serve('STORE_UNAVAILABLE');
    const { batchId, staged, cancelled } = await cancelledInPart();
    expect(await work.whenDone(batchId)).toMatchObject({ failed: [{ error: { code: 'CANCELLED' } }] });
    await until(async () => (await api.producer.lanes.maintenance.getDelayedCount()) > 0, {
      within: 10_000,
      what: 'the end to wait',
    });
    store.mend();
    await whenGone(staged);
    await whenGone(cancelled.s3Key);
    await until(async () => (await api.redis.hkeys(`worker:batch:{${batchId}}:stored`)).length === 0, {
      within: 10_000,
      what: 'nothing to be left',
    });
  });
});

describe('a pack that commits itself', () => {
  it('comes back only for its staged bytes, spends no attempt, and is not cancelled any more', async () => {
    const store = await serve('STORE_UNAVAILABLE');
    const { files, key } = await work.staged(['ready']);
    const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
    const jobId = jobs[0]?.jobId ?? '';
    expect(await work.whenDone(batchId)).toMatchObject({ failed: [] });
    expect(await work.whenJob(jobId, 'delayed')).toMatchObject({ attempts: 0, error: { code: 'STORE_UNAVAILABLE' } });
    await expect(api.producer.cancelJob(jobId)).rejects.toMatchObject({ code: 'CONFLICT' });
    store.mend();
    await work.whenJob(jobId, 'completed');
    await whenGone(key);
  });

  it('is done though the store gives up nothing', async () => {
    await serve('STORE_ACCESS_DENIED');
    const { files, key } = await work.staged(['ready']);
    const { jobs } = await work.accept([{ lane: 'small', files }]);
    await work.whenJob(jobs[0]?.jobId, 'completed');
    expect(await api.store.head(key)).toBeDefined();
  });
});
