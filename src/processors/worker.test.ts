import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { createLogger } from '#log';
import { createMetrics } from '#metrics';
import { JOBS, type Pack } from '#queues/catalog.ts';
import { jobKey, jobOptions } from '#queues/lanes.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import { createProducer, type JobView, type Producer } from '#queues/producer.ts';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import type { Outcome, Processor, Processors, Run } from './run.ts';
import { type LaneWorker, startLaneWorker } from './worker.ts';

const GRACE = 2_500;
let server: TestRedis;
let redis: RedisConnection;
let prefix: string;
let producer: Producer;
let worker: LaneWorker;
let tests = 0;

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
  prefix = `worker-test-${++tests}`;
  producer = createProducer({
    ...{ redis, prefix, clock: Date.now, onError: () => undefined },
    limits: { jobs: 1_000, bytes: 1e9 },
  });
});
afterEach(async () => {
  await worker.close(GRACE);
  await producer.close();
});

const JOB = 'b_test-0';
const pack: Pack = {
  batchId: 'b_test',
  entity: { project: 'p', session: 's', scene: 'c' },
  files: [
    {
      assetId: 'a_test',
      assetType: 'source_code',
      filename: 'main.py',
      contentType: 'text/x-python',
      s3Key: 'projects/p/main.py',
      acceptedSeq: 1,
      visibility: 'private',
      metadata: {},
      origin: { kind: 'path', path: '/main.py' },
    },
  ],
  awaitAcceptance: false,
  commit: 'each',
  round: 0,
  correlationId: 'corr',
  createdBy: 'key',
  createdAt: 0,
};

/** No other job has anything to do. */
const idle = Object.fromEntries(
  Object.keys(JOBS).map((name) => [name, async () => ({ end: 'done' })]),
) as unknown as Processors;

function serve(upload: Processor<'upload'>): void {
  worker = startLaneWorker('small', {
    redis,
    prefix,
    processors: { ...idle, upload },
    pending: createPendingPacks(redis, prefix),
    log: createLogger({ logLevel: 'silent' }, 'test'),
    metrics: createMetrics(),
    onUnreadable: async () => undefined,
    isAnythingAway: async () => false,
    random: Math.random,
  });
}
const add = (data: unknown = pack, name = 'upload') => producer.lanes.small.add(name, data, jobOptions('upload', JOB));
const whenJob = (state: JobView['state']) =>
  until(async () => ((await producer.getJob(JOB))?.state === state ? producer.getJob(JOB) : undefined), {
    within: 10_000,
    what: `the job to be ${state}`,
  });
/** Answers each start with the next outcome, then with `done`. */
const answering =
  (...outcomes: Outcome[]): Processor<'upload'> =>
  async () =>
    outcomes.shift() ?? { end: 'done' };
const broken = new AppError('CHECKSUM_MISMATCH', 'other bytes');

describe('a job', () => {
  it('that is done is completed', async () => {
    serve(answering());
    await add();
    expect(await whenJob('completed')).toMatchObject({ progress: 1, attempts: 1 });
  });

  it('that waits for a dependency spends no attempt', async () => {
    const attempts: number[] = [];
    const outcomes: Outcome[] = [
      { end: 'later', inMs: 1 },
      { end: 'later', inMs: 1 },
    ];
    serve(async (_pack, run) => {
      attempts.push(run.attempt);
      return outcomes.shift() ?? { end: 'done' };
    });
    await add();
    await whenJob('completed');
    expect(attempts).toEqual([1, 1, 1]);
  });

  it('that is tried again spends attempts, and is a dead letter when none is left', async () => {
    const error = new AppError('ORIGIN_UNREADABLE', 'ended early');
    const attempts: number[] = [];
    serve(async (_pack, run) => {
      attempts.push(run.attempt);
      return { end: 'retry', inMs: 1, error };
    });
    await add();
    await whenJob('failed');
    expect(attempts).toEqual([1, 2, 3]);
    expect((await producer.lanes.small.getJob(JOB))?.failedReason).toBe('ORIGIN_UNREADABLE: ended early');
  });

  it('that failed for good is a dead letter at once', async () => {
    serve(answering({ end: 'failed', error: broken }));
    await add();
    expect(await whenJob('failed')).toMatchObject({ attempts: 1 });
  });

  it('that discards itself leaves nothing behind, so that its id can be added again', async () => {
    serve(answering({ end: 'discarded' }));
    await add();
    await until(async () => (await producer.getJob(JOB)) === undefined, { within: 5_000, what: 'the job to be gone' });
    await add();
    await whenJob('completed');
  });

  it('of another form, or of a name nobody knows, is a dead letter that says so', async () => {
    serve(answering());
    await producer.lanes.small.add('upload', { files: [] }, jobOptions('upload', 'odd-data'));
    await producer.lanes.small.add('paint', pack, jobOptions('upload', 'odd-name'));
    const reason = async (id: string) => (await producer.lanes.small.getJob(id))?.failedReason;
    await until(async () => (await reason('odd-data')) && (await reason('odd-name')), {
      within: 5_000,
      what: 'both to fail',
    });
    expect(await reason('odd-data')).toMatch(/^VALIDATION_FAILED: The data of a job upload/);
    expect(await reason('odd-name')).toMatch(/^VALIDATION_FAILED: No processor knows jobs named paint/);
  });
});

describe('a job that Redis refuses to note', () => {
  it('waits as for any dependency that is away, and spends no attempt', async () => {
    const full = Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' });
    serve(async () => {
      throw full;
    });
    await add();
    expect(await whenJob('delayed')).toMatchObject({ attempts: 0 });
  });
});

describe('a running job', () => {
  /** A processor that works until it is told to stop. */
  const untilAborted = () => {
    const started = Promise.withResolvers<Run>();
    const processor: Processor<'upload'> = async (_pack, run) => {
      started.resolve(run);
      await new Promise((resolve) => run.signal.addEventListener('abort', resolve, { once: true }));
      throw run.signal.reason;
    };
    return { processor, started: started.promise };
  };

  it('is parked at shutdown, without an attempt spent', async () => {
    const { processor, started } = untilAborted();
    serve(processor);
    await add();
    await started;
    await worker.close(GRACE);
    expect(await producer.getJob(JOB)).toMatchObject({ state: 'waiting', attempts: 0 });
  });

  it('that comes to a good place when it is asked to park is not aborted', async () => {
    const started = Promise.withResolvers<void>();
    let aborted: boolean | undefined;
    serve(async (_pack, run) => {
      started.resolve();
      await new Promise((resolve) => run.park.addEventListener('abort', resolve, { once: true }));
      aborted = run.signal.aborted;
      await run.facts.write({ place: 'noted' });
      throw run.park.reason;
    });
    await add();
    await started.promise;
    await worker.close(60_000);
    expect(aborted).toBe(false);
    expect(await producer.getJob(JOB)).toMatchObject({ state: 'waiting', attempts: 0 });
  });

  it('cannot write its facts and is aborted once its lock is gone', async () => {
    const { processor, started } = untilAborted();
    serve(processor);
    await add();
    const run = await started;
    await run.facts.write({ mine: '1' });
    await redis.set(`${jobKey(prefix, 'small', JOB)}:lock`, 'another worker');
    await expect(run.facts.write({ mine: '2' })).rejects.toThrow('no longer ours');
    expect(await run.facts.read()).toMatchObject({ mine: '1' });
    await until(() => run.signal.aborted, { within: 20_000, what: 'the run to be aborted' });
  });

  it('is not taken again by its worker before its lost run has unwound', async () => {
    const unwind = Promise.withResolvers<void>();
    let starts = 0;
    let atOnce = 0;
    let most = 0;
    serve(async (_pack, run) => {
      starts += 1;
      most = Math.max(most, ++atOnce);
      if (starts === 1) {
        await redis.del(`${jobKey(prefix, 'small', JOB)}:lock`);
        await new Promise((resolve) => run.signal.addEventListener('abort', resolve, { once: true }));
        await unwind.promise;
      }
      atOnce -= 1;
      run.signal.throwIfAborted();
      return { end: 'done' };
    });
    await add();
    const key = `{${prefix}:small}:small:delayed`;
    await until(async () => (await redis.zcard(key)) > 0, { within: 25_000, what: 'the second start to wait' });
    unwind.resolve();
    await whenJob('completed');
    expect({ starts, most }).toEqual({ starts: 2, most: 1 });
  });

  it('gives out rising fences, higher in each start', async () => {
    const fences: (readonly number[])[] = [];
    serve(async (_pack, run) => {
      fences.push(run.nextFence(0), run.nextFence(0));
      return fences.length < 4 ? { end: 'later', inMs: 1 } : { end: 'done' };
    });
    await add();
    await whenJob('completed');
    expect(fences).toEqual([
      [0, 1, 1],
      [0, 1, 2],
      [0, 2, 1],
      [0, 2, 2],
    ]);
  });
});
