import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '#log';
import { createMetrics } from '#metrics';
import { JOBS, type JobName } from '#queues/catalog.ts';
import { jobOptions } from '#queues/lanes.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import { createProducer, type Producer } from '#queues/producer.ts';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import type { Interrupted, Outcome, Processors, Run } from './run.ts';
import { type LaneWorker, startLaneWorker } from './worker.ts';

/** Short ones, so that a crash is seen at once. */
const LOCKS = { lockDuration: 200, stalledInterval: 100 };
const JOB = 'b_test-end';
let server: TestRedis;
let redis: RedisConnection;
let producer: Producer;
let prefix: string;
let tests = 0;
let isAway = false;
const opened: { worker: LaneWorker; own: RedisConnection }[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'worker', () => undefined);
  await whenConnected(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => {
  prefix = `crashes-test-${++tests}`;
  producer = createProducer({
    ...{ redis, prefix, clock: Date.now, onError: () => undefined },
    limits: { jobs: 1_000, bytes: 1e9 },
  });
});
afterEach(async () => {
  for (const { worker, own } of opened.splice(0)) {
    await worker.close(0);
    own.disconnect();
  }
  await producer.close();
});

type Work = (run: Run, crash: () => Promise<never>) => Promise<Outcome>;

/** A worker with connections of its own. `crash` cuts them all and comes to no end, as the death of its process does. */
async function serve(name: JobName, work: Work): Promise<void> {
  const own = connectRedis(server.url, 'worker', () => undefined);
  await whenConnected(own, 5_000);
  const crash = () => {
    own.disconnect();
    void worker.close(0);
    return new Promise<never>(() => undefined);
  };
  const idle = Object.fromEntries(Object.keys(JOBS).map((job) => [job, async () => ({ end: 'done' })]));
  const processors = { ...idle, [name]: (_data: unknown, run: Run) => work(run, crash) } as unknown as Processors;
  const worker: LaneWorker = startLaneWorker(
    'maintenance',
    {
      ...{ redis: own, prefix, processors, pending: createPendingPacks(own, prefix) },
      ...{ log: createLogger({ logLevel: 'silent' }, 'test'), metrics: createMetrics() },
      ...{ onUnreadable: async () => undefined, isAnythingAway: async () => isAway, random: Math.random },
    },
    LOCKS,
  );
  opened.push({ worker, own });
}

/** Starts one worker after the other, each of which crashes in its first start. */
async function crashTimes(times: number, before: (run: Run) => Promise<void> = async () => undefined): Promise<void> {
  for (let crashed = 0; crashed < times; crashed += 1) {
    const died = Promise.withResolvers<void>();
    await serve('batch-end', async (run, crash) => {
      await before(run);
      died.resolve();
      return crash();
    });
    await died.promise;
  }
}

const add = (jobId = JOB) =>
  producer.lanes.maintenance.add(
    'batch-end',
    { batchId: 'b_test', correlationId: 'corr' },
    jobOptions('batch-end', jobId),
  );
const whenJob = (state: string) =>
  until(async () => (await producer.lanes.maintenance.getJobState(JOB)) === state, {
    within: 80_000,
    what: `the job to be ${state}`,
  });
const done: Work = async () => ({ end: 'done' });

/** A worker that dies may take the call for its own job with it; the next one looks by itself after a few seconds. */
describe('a job whose starts crash', { timeout: 90_000 }, () => {
  it('is a dead letter after 20 of them in a row with nothing done, no attempt spent before; its replay begins anew', async () => {
    await add();
    await crashTimes(20);
    await serve('batch-end', done);
    await whenJob('failed');
    const job = await producer.lanes.maintenance.getJob(JOB);
    expect(job).toMatchObject({ attemptsMade: 1, attemptsStarted: 21 });
    expect(job?.failedReason).toMatch(/^POISON: 20 starts of the job in a row/);
    await job?.retry('failed', { resetAttemptsMade: true });
    await whenJob('completed');
  });

  it('takes no other job along that was at work beside it', async () => {
    const culprit = 'b_culprit-end';
    for (const jobId of [JOB, culprit]) await add(jobId);
    // The innocent one needs a moment to itself, which it has not while the other crashes both.
    for (let isOver = false; !isOver; ) {
      const died = Promise.withResolvers<boolean>();
      await serve('batch-end', async (run, crash) => {
        if (run.jobId === culprit) {
          died.resolve(false);
          return crash();
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { end: 'done' };
      });
      isOver = await Promise.race([died.promise, whenJob('completed').then(() => true)]);
    }
    expect(await producer.lanes.maintenance.getJobState(culprit)).toBe('failed');
  });

  it('goes on for as long as it gets something done each time', async () => {
    await add();
    let steps = 0;
    await crashTimes(22, (run) => run.facts.write({ place: String(++steps) }));
    await serve('batch-end', done);
    await whenJob('completed');
  });

  it('is not blamed for crashes while what it needs is away', async () => {
    await add();
    await crashTimes(2);
    isAway = true;
    await crashTimes(3);
    isAway = false;
    const crashes: number[] = [];
    await serve('batch-end', async (run) => {
      crashes.push(run.crashes);
      return { end: 'done' };
    });
    await whenJob('completed');
    // The second was found when it was away already, the last one when it was no more.
    expect(crashes).toEqual([2]);
  });

  it('is not blamed for a Redis that was away, nor for a shutdown', async () => {
    await add();
    const started = Promise.withResolvers<Run>();
    const seen: number[] = [];
    await serve('batch-end', async (run) => {
      seen.push(run.stalls);
      started.resolve(run);
      await new Promise((resolve) => run.signal.addEventListener('abort', resolve, { once: true }));
      throw run.signal.reason;
    });
    const run = await started.promise;
    await server.kill();
    await until(() => run.signal.aborted, { within: 5_000, what: 'the run to be cut off' });
    expect((run.signal.reason as Interrupted).why).toBe('cut off');
    await server.start();
    await until(() => seen.length === 2, { within: 20_000, what: 'the next start' });
    expect(seen).toEqual([0, 1]);
    expect(await crashesOf()).toBeNull();
    await opened[0]?.worker.close(3_000);
    expect(await crashesOf()).toBeNull();
  });
});

const crashesOf = () => redis.hget(`{${prefix}:maintenance}:maintenance:${JOB}:facts`, 'crashes');
