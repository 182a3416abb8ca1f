import { afterAll, beforeAll, expect, it } from 'vitest';
import { packWork } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { startWorker } from './start.ts';

const TWO_DAYS = 2 * 86_400_000;

let api: WorkerParts;
let work: ReturnType<typeof packWork>;

beforeAll(async () => {
  api = await openWorkerParts();
  work = packWork(api);
});
afterAll(async () => {
  await api.close();
  await api.remove();
});

const serve = async () => {
  const parts = await openWorkerParts({ beside: api });
  return startWorker(parts, parts.config);
};

it('days in which no worker ran do not count: a job waits on for a dependency that comes later than the worker', async () => {
  const { files } = await work.staged(['parked']);
  await api.engine.kill();
  const before = await serve();
  const { jobs } = await work.accept([{ lane: 'small', files }]);
  const { nextRetryAt = 0 } = await work.whenJob(jobs[0]?.jobId, 'delayed');
  await before.close();
  const [key = ''] = await api.redis.keys('*:facts');
  const since = Number(await api.redis.hget(key, 'away'));
  await api.redis.hset(key, { away: since - TWO_DAYS, retryAt: nextRetryAt - TWO_DAYS });

  const after = await serve();
  await until(async () => Number(await api.redis.hget(key, 'retryAt')) > nextRetryAt, {
    within: 20_000,
    what: 'the next try',
  });
  expect(await work.whenJob(jobs[0]?.jobId, 'delayed')).toMatchObject({ attempts: 0 });
  await api.engine.start();
  await work.whenRow(files[0]?.assetId, 'ready');
  await after.close();
});
