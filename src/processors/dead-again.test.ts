import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { createDiscards } from '#queues/discards.ts';
import { jobKey, lanePrefix } from '#queues/lanes.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';
import { type PlannedFile, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

const bench = await openWorkerBench();
const { api, work } = bench;

const first = <T>([item]: readonly T[]): T => item as T;
const accept = async (files: readonly PlannedFile[], commit: 'each' | 'batch' = 'each') => {
  const { batchId, jobs } = await work.accept([{ lane: 'small', files }], { commit });
  return { batchId, jobId: first(jobs).jobId };
};
const replay = async (jobId: string) =>
  (await api.producer.lanes.small.getJob(jobId))?.retry('failed', { resetAttemptsMade: true });

/** A key that is revoked has its uploads refused at their commit, for good. */
const revoke = (revokedAt: number | undefined) =>
  api.metadata.putApiKey({
    ...{ keyId: 'key', secretHash: 'ab'.repeat(32), name: 'a key', scopes: ['assets:write'], createdAt: 0 },
    ...(revokedAt === undefined ? {} : { revokedAt }),
  });

/** A dead letter whose bytes are there again, so that its replay has all it needs. */
async function deadLetter(commit?: 'batch') {
  await bench.serve();
  const { files, key } = await work.staged(['not there, and there again']);
  await api.store.deleteMany([key]);
  const accepted = await accept(files, commit);
  await work.whenJob(accepted.jobId, 'failed');
  await work.whenDone(accepted.batchId);
  await bench.stopWorkers();
  await api.stage(key, Buffer.from('not there, and there again'));
  return { ...accepted, ...first(files) };
}

describe('a dead letter', () => {
  it('that BullMQ never heard of fails again, and is not taken for a replay', async () => {
    const { jobId } = await deadLetter();
    // As a crash in its last moment leaves it: noted, but taken from its worker instead of failed.
    const job = jobKey('worker', 'small', jobId);
    await api.redis.hincrby(job, 'stc', 1);
    await replay(jobId);
    await bench.serve();
    await work.whenJob(jobId, 'failed');
    expect(await api.redis.hget(`${job}:facts`, 'generation')).toBeNull();
  });

  it('is replayed though the worker that takes it first dies at once', async () => {
    const { jobId, assetId } = await deadLetter();
    await replay(jobId);
    const { redis: connection } = await bench.openParts();
    const prefix = lanePrefix('worker', 'small');
    const dying = new Worker('small', undefined, { connection, prefix, lockDuration: 100 });
    expect((await dying.getNextJob('token', { block: false }))?.id).toBe(jobId);
    await dying.close(true);
    connection.disconnect();
    await bench.serve();
    await work.whenRow(assetId, 'ready');
    await work.whenJob(jobId, 'completed');
  });

  it('can be cancelled while its replay waits', async () => {
    const { jobId, assetId } = await deadLetter();
    await replay(jobId);
    expect(await api.producer.cancelJob(jobId)).toMatchObject({ error: { code: 'CANCELLED' } });
    await bench.serve();
    await work.whenJob(jobId, 'completed');
    await until(async () => (await work.rowOf(assetId))?.error?.code === 'CANCELLED', {
      within: 10_000,
      what: 'the row to be cancelled',
    });
  });

  it('of a batch that Redis has forgotten is committed all the same by its replay', async () => {
    const { jobId, batchId, assetId } = await deadLetter('batch');
    await api.redis.del(`worker:batch:{${batchId}}`, `worker:batch:{${batchId}}:stored`);
    await bench.serve();
    await replay(jobId);
    await work.whenJob(jobId, 'completed');
    await work.whenRow(assetId, 'ready');
  });

  it('whose file outgrows its lane in a replay has its row told of the next failure', async () => {
    await bench.serve({}, ['small', 'maintenance']);
    const path = join(api.dir, 'film.py');
    const file = someFile({ kind: 'path', path });
    const { jobId } = await accept([file]);
    await work.whenJob(jobId, 'failed');
    await work.whenRow(file.assetId, 'error');
    await writeFile(path, Buffer.alloc(17 * 1024 ** 2));
    await replay(jobId);
    await work.whenJob(jobId, 'waiting');
    await rm(path);
    await bench.stopWorkers();
    await api.outbox.flush();
    expect((await work.rowOf(file.assetId))?.status).toBe('uploading');
    await bench.serve();
    await work.whenJob(jobId, 'failed');
    await work.whenRow(file.assetId, 'error');
  });
});

describe('the end of a batch that is a dead letter', () => {
  it('is one again after each replay, though Redis has forgotten the batch, until it is discarded', async () => {
    await revoke(1);
    await bench.serve();
    const { files } = await work.staged(['refused for long']);
    const { batchId } = await accept(files, 'batch');
    const { maintenance } = api.producer.lanes;
    const endId = `${batchId}-end`;
    const whenStarted = (starts: number) =>
      until(
        async () =>
          (await maintenance.getJob(endId))?.attemptsStarted === starts &&
          (await maintenance.getJobState(endId)) === 'failed',
        {
          within: 10_000,
          what: `the end to fail in start ${starts}`,
        },
      );
    await whenStarted(1);
    const record = `worker:batch:{${batchId}}`;
    expect(await api.redis.ttl(`${record}:stored`)).toBe(-1);
    await api.redis.del(record);
    await (await maintenance.getJob(endId))?.retry('failed', { resetAttemptsMade: true });
    await whenStarted(2);

    const discards = createDiscards(api.redis, 'worker', {
      lanes: api.producer.lanes,
      pending: createPendingPacks(api.redis, 'worker'),
    });
    await discards.forget(await discards.read({ lane: 'maintenance', jobId: endId }));
    expect(await maintenance.getJob(endId)).toBeUndefined();
    expect(await api.redis.ttl(`${record}:stored`)).toBeGreaterThan(0);
    await revoke(undefined);
  });
});

describe('a file that has failed for good, while its job is not a dead letter yet', () => {
  it('is quarantined though the rest of its pack is cancelled', async () => {
    await bench.serve();
    const { files } = await work.staged(['of no scene']);
    const refused = { ...first(files), assetType: 'combined_video' as const };
    const late = bench.origin.hold(Buffer.from('held bytes'), 3);
    late.cut(3);
    const { jobId } = await accept([refused, someFile({ kind: 'url', url: late.url })]);
    await work.whenJob(jobId, 'delayed');
    await api.producer.cancelJob(jobId);
    await work.whenJob(jobId, 'completed');
    expect(await api.store.head(refused.s3Key)).toBeUndefined();
    expect(await api.store.head(quarantineKey(refused.s3Key))).toBeDefined();
    const { objects } = await api.metadata.listQuarantined({ limit: 10 });
    expect(objects.find(({ s3Key }) => s3Key === refused.s3Key)?.reason.code).toBe('VALIDATION_FAILED');
  });

  it('cannot be cancelled any more, though a crash gave its claim free', async () => {
    const quarantine: Store['quarantine'] = async () => {
      throw new AppError('STORE_UNAVAILABLE', 'The store is away.');
    };
    const { files } = await work.staged(['refused']);
    const { assetId, s3Key } = first(files);
    await revoke(1);
    await bench.serve({ store: { ...api.store, quarantine } });
    const { batchId, jobId } = await accept(files);
    await work.whenJob(jobId, 'delayed');
    await bench.stopWorkers();
    await api.redis.hdel(`worker:batch:{${batchId}}:decisions`, jobId);
    await api.producer.cancelJob(jobId);
    await bench.serve();
    expect(await work.whenJob(jobId, 'failed')).toMatchObject({ error: { code: 'FORBIDDEN' } });
    expect(await api.store.head(quarantineKey(s3Key))).toBeDefined();
    expect((await work.whenRow(assetId, 'error')).error?.code).toBe('FORBIDDEN');
    await revoke(undefined);
  });
});
