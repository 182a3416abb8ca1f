import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { factsKey } from '#queues/job-facts.ts';
import type { Store } from '#storage/store.ts';
import type { PlannedFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import { SUSPECT_FROM } from './run.ts';

const bench = await openWorkerBench();
const { api, work } = bench;

const first = <T>([item]: readonly T[]): T => item as T;
const accept = async (files: readonly PlannedFile[]) => {
  const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
  return { batchId, jobId: first(jobs).jobId };
};
const job = (jobId: string) => api.producer.lanes.small.getJob(jobId);
const crashed = (jobId: string, crashes: number) =>
  api.redis.hset(factsKey('worker', 'small', jobId), { running: 'a dead worker', crashes: String(crashes - 1) });

/** A pack of two files, the first of which is stored, while neither is committed. */
async function halfStored() {
  const { files: stored } = await work.staged(['stored']);
  const { files: lacking } = await work.staged(['crashes its worker']);
  const { s3Key } = first(lacking);
  const put: Store['put'] = async (key, ...rest) => {
    if (key === s3Key) throw new AppError('STORE_UNAVAILABLE', 'The store is away.');
    return api.store.put(key, ...rest);
  };
  await api.engine.kill();
  await bench.serve({ store: { ...api.store, put } });
  const accepted = await accept([...stored, ...lacking]);
  await work.whenJob(accepted.jobId, 'delayed');
  await bench.stopWorkers();
  await api.engine.start();
  return { ...accepted, stored: first(stored), lacking: first(lacking) };
}

describe('a pack whose starts crash', () => {
  it('ends its open files as POISON, in rows, batch and job', async () => {
    const { files } = await work.staged(['one', 'two']);
    const { batchId, jobId } = await accept(files);
    await crashed(jobId, 20);
    await bench.serve();
    expect(await work.whenJob(jobId, 'failed')).toMatchObject({ error: { code: 'POISON', details: { crashes: 20 } } });
    expect((await work.whenDone(batchId)).failed).toMatchObject([
      { error: { code: 'POISON' } },
      { error: { code: 'POISON' } },
    ]);
    for (const { assetId } of files) expect((await work.whenRow(assetId, 'error')).error?.code).toBe('POISON');
    await (await job(jobId))?.retry('failed', { resetAttemptsMade: true });
    await work.whenJob(jobId, 'completed');
    for (const { assetId } of files) await work.whenRow(assetId, 'ready');
  });

  it('stores its other files before the one that crashes', async () => {
    const { files } = await work.staged(Array.from({ length: 10 }, (_, at) => `file ${at}`));
    // The one it would begin with without any crash before, going round with each of them.
    const { s3Key } = files[SUSPECT_FROM - 1] ?? first(files);
    const { jobId } = await accept(files);
    await crashed(jobId, SUSPECT_FROM);
    let isDead = false;
    const put: Store['put'] = (key, source, options) => {
      isDead ||= key === s3Key;
      if (!isDead) return api.store.put(key, source, options);
      return new Promise((_, reject) => options.park?.addEventListener('abort', () => reject(options.park?.reason)));
    };
    await bench.serve({ store: { ...api.store, put } });
    await until(() => isDead, { within: 10_000, what: 'the one that crashes' });
    const facts = await api.redis.hgetall(factsKey('worker', 'small', jobId));
    expect(files.filter(({ assetId }) => facts[`stored:${assetId}`])).toHaveLength(9);
  });

  it('commits what it has stored, which is none of the crashes', async () => {
    const { batchId, jobId, stored, lacking } = await halfStored();
    await crashed(jobId, 20);
    await (await job(jobId))?.promote();
    await bench.serve();
    await work.whenJob(jobId, 'failed');
    expect(await work.whenDone(batchId)).toMatchObject({
      ...{ successful: [stored.assetId], failed: [{ assetId: lacking.assetId, error: { code: 'POISON' } }] },
    });
    await work.whenRow(stored.assetId, 'ready');
  });

  it('commits nothing any more when that crashed, too', async () => {
    const { batchId, jobId } = await halfStored();
    await crashed(jobId, 21);
    await (await job(jobId))?.promote();
    await bench.serve();
    await work.whenJob(jobId, 'failed');
    expect((await work.whenDone(batchId)).failed).toHaveLength(2);
  });
});
