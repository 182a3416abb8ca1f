import { expect, it } from 'vitest';
import { someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

const bench = await openWorkerBench();

const allow = (bytes: number) => bench.api.redis.config('SET', 'maxmemory', String(bytes));

it('a Redis without memory takes nothing in and fails nothing: all goes on once there is some', async () => {
  const { api, work, origin } = bench;
  await bench.serve();
  const running = origin.hold(Buffer.from('running'), 3);
  const one = await work.accept([{ lane: 'small', files: [someFile({ kind: 'url', url: running.url }, { size: 7 })] }]);
  const [runningJob] = one.jobs;
  const { files } = await work.staged(['waiting']);
  await running.read();
  const early = origin.hold(Buffer.from('early'), 0);
  const waiting = await Promise.all(
    Array.from({ length: 12 }, () =>
      work.accept([{ lane: 'small', files: [someFile({ kind: 'url', url: early.url }, { size: 5 })] }]),
    ),
  );
  await until(() => early.readers() === 7, { within: 10_000, what: 'the lane to be full' });

  await allow(1);
  await expect(api.producer.requireRoom()).rejects.toMatchObject({ status: 503 });
  await expect(work.accept([{ lane: 'small', files }])).rejects.toMatchObject({ status: 503 });
  running.release();
  early.release();
  const stateOf = async () => (await api.producer.getJob(runningJob?.jobId ?? ''))?.state;
  await until(async () => (await stateOf()) !== 'active', { within: 20_000, what: 'the running job to wait' });
  expect(await stateOf()).toBe('delayed');

  await allow(0);
  for (const { batchId, jobs } of [one, ...waiting]) {
    expect(await work.whenDone(batchId)).toMatchObject({ failed: [] });
    expect(await work.whenJob(jobs[0]?.jobId, 'completed')).toMatchObject({ attempts: 1 });
  }
});
