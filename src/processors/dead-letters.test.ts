import { beforeAll, describe, expect, it } from 'vitest';
import type { Deed } from '#metadata/audit-log.ts';
import type { ChosenLetters, JobData } from '#queues/catalog.ts';
import { createDeadLetters, type DeadLetters } from '#queues/dead-letters.ts';
import { createDiscards } from '#queues/discards.ts';
import { letterRunId } from '#queues/ids.ts';
import { readJobFacts } from '#queues/job-facts.ts';
import { jobKey, jobOptions, lanePrefix } from '#queues/lanes.ts';
import type { LetterJob, LetterRun } from '#queues/letter-runs.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import type { Store } from '#storage/store.ts';
import { someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

let letters: DeadLetters;

const bench = await openWorkerBench();
const { api } = bench;
beforeAll(async () => {
  letters = createDeadLetters(api.redis, 'worker', api.producer.lanes);
});

/** So many packs of one file each whose staged bytes are not there, failed for good. */
async function failed(count: number) {
  const packs = Array.from({ length: count }, (_, index) => ({
    lane: 'small' as const,
    files: [someFile({ kind: 'staged', key: `staging/none-${Math.random()}/${index}` })],
  }));
  const { batchId, jobs } = await bench.work.accept(packs);
  await bench.work.whenDone(batchId);
  await Promise.all(jobs.map(({ jobId }) => bench.work.whenJob(jobId, 'failed')));
  return jobs.map(({ jobId, files: [file] }) => {
    const key = file?.origin.kind === 'staged' ? file.origin.key : '';
    return { jobId, assetId: file?.assetId ?? '', key };
  });
}

const idsOf = (jobs: readonly { jobId: string }[]) => jobs.map(({ jobId }) => jobId);
const failedSet = `${lanePrefix('worker', 'small')}:small:failed`;

async function begin<Name extends LetterJob>(name: Name, about: Omit<JobData<Name>, 'correlationId' | 'total'>) {
  const jobId = letterRunId(name);
  const all = await letters.groups(about.chosen);
  const total = all.reduce((sum, { count }) => sum + count, 0);
  await api.producer.letterRuns.start(name, jobId, { ...about, total, correlationId: 'c' } as never);
  return jobId;
}
const ended = (name: LetterJob, jobId: string): Promise<LetterRun> =>
  until(
    async () => {
      const run = await api.producer.letterRuns.get(name, jobId);
      return run?.state === 'completed' ? run : undefined;
    },
    { within: 15_000, what: `the ${name} to end` },
  );
const chosen = (jobs: readonly { jobId: string }[]): ChosenLetters => ({ jobIds: idsOf(jobs), failedBy: Date.now() });

describe('a replay', () => {
  it('starts dead letters again, and a second one changes nothing', async () => {
    await bench.serve();
    const jobs = await failed(3);
    await Promise.all(jobs.map(({ key }) => api.stage(key, Buffer.from('here at last'))));
    const about = { chosen: chosen(jobs), perSecond: 500 };
    const jobId = await begin('replay', about);
    expect(await ended('replay', jobId)).toMatchObject({ total: 3, done: 3, skipped: 0 });
    for (const job of jobs) await bench.work.whenRow(job.assetId, 'ready');
    expect(await ended('replay', await begin('replay', about))).toMatchObject({ total: 0, done: 0, skipped: 0 });
  });

  it('goes on at another worker where a parked one left off', async () => {
    await bench.serve();
    const jobs = await failed(4);
    const jobId = await begin('replay', { chosen: chosen(jobs), perSecond: 3 });
    await until(async () => ((await api.producer.letterRuns.get('replay', jobId))?.done ?? 0) >= 1, {
      ...{ within: 10_000, what: 'the first to be replayed' },
    });
    await bench.stopWorkers();
    const parked = await api.producer.letterRuns.get('replay', jobId);
    expect([parked?.state, (parked?.done ?? 9) < 4]).toEqual(['waiting', true]);
    await bench.serve();
    expect(await ended('replay', jobId)).toMatchObject({ total: 4, done: 4, skipped: 0 });
    expect((await api.producer.lanes.maintenance.getJob(jobId))?.attemptsMade).toBe(1);
  });
});

describe('a discard', () => {
  it('removes the job, its facts, and what its pack has in the store; its row keeps the error', async () => {
    const abandoned: [key: string, noted: object][] = [];
    const abandon: Store['abandon'] = async (key, journal) => void abandoned.push([key, await journal.read()]);
    await bench.serve({ store: { ...api.store, abandon } });
    const { key, files } = await bench.work.staged(['one file']);
    const [file] = files;
    if (!file) throw new Error('There is no file.');
    const wrong = { ...file, checksum: '0'.repeat(64) };
    const { batchId, jobs } = await bench.work.accept([{ lane: 'small', files: [wrong] }]);
    await bench.work.whenDone(batchId);
    const [{ jobId } = { jobId: '' }] = jobs;
    await bench.work.whenJob(jobId, 'failed');
    await api.redis.hset(`${jobKey('worker', 'small', jobId)}:facts`, `part:${file.assetId}:uploadId`, 'u-1');
    expect(await api.store.head(key)).toBeDefined();
    abandoned.length = 0;

    const run = await begin('discard', { chosen: chosen(jobs), reason: 'x' });
    expect(await ended('discard', run)).toMatchObject({ total: 1, done: 1 });
    expect(await api.producer.getJob(jobId)).toBeUndefined();
    expect(await readJobFacts(api.redis, 'worker', 'small', jobId)).toEqual({});
    expect(await api.store.head(key)).toBeUndefined();
    expect(abandoned).toEqual([[file.s3Key, { uploadId: 'u-1' }]]);
    const row = await bench.work.whenRow(file.assetId, 'error');
    expect(row?.error?.code).toBe('CHECKSUM_MISMATCH');
  });

  it('finishes what one that crashed had begun', async () => {
    await bench.serve();
    const [job] = await failed(1);
    if (!job) throw new Error('There is no job.');
    const discards = createDiscards(api.redis, 'worker', {
      lanes: api.producer.lanes,
      pending: createPendingPacks(api.redis, 'worker'),
    });
    const { letters: found } = await letters.list(chosen([job]), { limit: 10 });
    expect(await discards.claim(found, Date.now())).toBe(1);
    const none = { jobIds: ['none'], failedBy: Date.now() };
    expect(await ended('discard', await begin('discard', { chosen: none, reason: 'x' }))).toMatchObject({ done: 0 });
    expect(await discards.claimed()).toEqual([]);
    expect(await api.producer.getJob(job.jobId)).toBeUndefined();
  });
});

describe('the sweep', () => {
  it('discards what is older, and the oldest beyond the bytes that are kept, and tells the audit before', async () => {
    const deeds: Deed[] = [];
    const parts = await bench.openParts();
    const audit = { ...parts.audit, record: async (deed: Deed) => void deeds.push(deed) };
    const others = await letters.groups({ failedBy: Date.now() });
    await bench.serve();
    const jobs = await failed(4);
    await bench.stopWorkers();
    const [old, big, kept, last] = idsOf(jobs) as [string, string, string, string];
    const now = Date.now();
    // What other tests left is the newest here.
    for (const [jobId, at] of [
      [old, now - 100 * 86_400_000],
      [big, now - 3_000],
      [kept, now - 2_000],
      [last, now],
    ] as const)
      await api.redis.zadd(failedSet, at, jobId);
    await api.redis.hset(jobKey('worker', 'small', big), 'padding', 'x'.repeat(100_000));
    const held = others.reduce((sum, { bytes }) => sum + bytes, 0);
    const caps = { ageMs: 90 * 86_400_000, bytes: held + 60_000 };
    await bench.serve({ audit, config: { ...api.config, deadLetters: caps } });
    const sweep = await api.producer.lanes.maintenance.add(
      'dead-letter-sweep',
      {},
      jobOptions('dead-letter-sweep', 'sweep-1'),
    );
    await until(() => sweep.isCompleted(), { within: 10_000, what: 'the sweep to end' });
    const left = (await letters.list(chosen(jobs), { limit: 10 })).letters;
    expect(idsOf(left).toSorted()).toEqual([kept, last].toSorted());
    expect(deeds).toMatchObject([{ actor: { kind: 'service' }, action: 'dead-letters.sweep', details: { count: 2 } }]);
  });
});
