import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createBreakerBoard } from '#breakers/board.ts';
import { guardPorts } from '#breakers/breakers.ts';
import { AppError } from '#errors';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import { openWorkerParts } from '#test/worker-parts.ts';

const bench = await openWorkerBench();

const breakersOpen = (count: number) =>
  until(async () => (await bench.api.breakers.list()).length === count, {
    within: 20_000,
    what: `${count} open breakers`,
  });

/** Accepts packs of one small file each; gives their job ids. The bytes are staged when the store is there. */
async function acceptPacks(count: number): Promise<() => Promise<string[]>> {
  const staged = await Promise.all(Array.from({ length: count }, (_, at) => bench.work.staged([`file ${at}`])));
  const packs = staged.map(({ files }) => ({ lane: 'small' as const, files }));
  return async () => (await bench.work.accept(packs)).jobs.map(({ jobId }) => jobId);
}

const startsOf = async (jobIds: readonly string[]) => {
  const jobs = await Promise.all(jobIds.map((jobId) => bench.api.producer.lanes.small.getJob(jobId)));
  return jobs.map((job) => job?.attemptsStarted ?? 0);
};

/** Resolves when a worker has served another lane: it had the time to take jobs of this one too. */
async function servedMeanwhile(): Promise<void> {
  const job = await bench.api.producer.lanes.maintenance.add('of no version', {});
  await until(() => job.isFailed(), { within: 10_000, what: 'a job of the maintenance lane' });
}

it('rests while the store is away, and goes on when it is back, without an attempt spent', async () => {
  const [finders, others] = [await acceptPacks(6), await acceptPacks(10)];
  const parts = await openWorkerParts({ beside: bench.api, guarded: true });
  await bench.serve(parts);
  // A disk that was never there would be made.
  await parts.store.check();
  const store = join(bench.api.dir, 'store');
  await rename(store, `${store}.away`);
  const found = await finders();
  await breakersOpen(1);
  expect(await bench.api.breakers.list()).toMatchObject([{ dependency: 'store' }]);

  const waiting = await others();
  await servedMeanwhile();
  // A worker that waited for a job already takes the one that comes.
  expect((await startsOf(waiting)).filter((starts) => starts > 0).length).toBeLessThanOrEqual(1);
  // Nothing of the rest is in Redis: whoever dies of it leaves the lane as it was.
  expect(await bench.api.producer.lanes.small.isPaused()).toBe(false);
  expect(await bench.api.redis.keys('*limiter*')).toEqual([]);

  await rename(`${store}.away`, store);
  await breakersOpen(0);
  for (const jobId of [...found, ...waiting]) {
    expect(await bench.work.whenJob(jobId, 'completed')).toMatchObject({ attempts: 1 });
  }
  await bench.stopWorkers();
});

it('leaves the lane to processes that reach the store, and whoever dies resting takes nothing along', async () => {
  const accept = await acceptPacks(10);
  const { api } = bench;
  const away = () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'Nobody answers.'));
  const cutOff = guardPorts({
    store: { ...api.store, put: away, copy: away, check: away },
    metadata: api.metadata,
    ...{ board: createBreakerBoard(api.redis, api.config.redis.prefix), process: 'cut off', clock: Date.now },
    ...{ onChange: () => undefined, onError: () => undefined, probeEveryMs: 200 },
  });
  for (let at = 0; at < 5; at += 1) await cutOff.store.check().catch(() => undefined);
  await breakersOpen(1);
  await bench.serve({ store: cutOff.store, breakers: cutOff.breakers });
  const jobIds = await accept();
  await servedMeanwhile();
  expect((await startsOf(jobIds)).filter((starts) => starts > 0).length).toBeLessThanOrEqual(1);

  await bench.serve();
  for (const jobId of jobIds) await bench.work.whenJob(jobId, 'completed');
  cutOff.close();
  await bench.stopWorkers();
});
