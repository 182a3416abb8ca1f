import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { createBatches } from './batches.ts';
import { assetIdOf, newBatchId } from './ids.ts';
import { type AcceptRequest, createProducer, type PlannedPack, type Producer } from './producer.ts';

const PREFIX = 'producer-test';
let server: TestRedis;
let redis: RedisConnection;
let producer: Producer;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined);
  await whenConnected(redis, 5_000);
  producer = createProducer({
    redis,
    prefix: PREFIX,
    limits: { jobs: 1_000, bytes: 1e9 },
    clock: Date.now,
    onError: () => undefined,
  });
});
afterAll(async () => {
  await producer.close();
  redis.disconnect();
  await server.stop();
});

const pack = (lane: PlannedPack['lane'] = 'small'): PlannedPack => {
  const assetId = assetIdOf(newBatchId(), 0);
  return {
    lane,
    files: [
      {
        assetId,
        assetType: 'source_code',
        filename: 'main.py',
        contentType: 'text/x-python',
        s3Key: `projects/p/sessions/s/scenes/c/source_code/${assetId}/main.py`,
        visibility: 'private',
        metadata: {},
        origin: { kind: 'path', path: '/clips/main.py' },
        size: 10,
      },
    ],
  };
};
const request = (packs: PlannedPack[], project = 'p'): AcceptRequest => ({
  batchId: newBatchId(),
  entity: { project, session: 's', scene: 'c' },
  packs,
  correlationId: 'corr',
  createdBy: 'key',
  createdAt: Date.now(),
});

describe('accept', () => {
  it('keeps the batch and its jobs, each in its lane', async () => {
    const accepted = await producer.accept(request([pack(), pack('large')]));
    const batch = await producer.getBatch(accepted.batchId);
    expect(batch).toMatchObject({ state: 'accepted', total: 2, size: 20, owner: 'key', successful: [], failed: [] });
    for (const job of accepted.jobs) {
      expect(await producer.getJob(job.jobId)).toMatchObject({
        jobId: job.jobId,
        lane: job.lane,
        state: 'waiting',
        progress: 0,
        attempts: 0,
      });
    }
  });

  it('numbers files upwards over all requests, also after Redis forgot the last number', async () => {
    const first = await producer.accept(request([pack(), pack()]));
    await redis.del(`${PREFIX}:accepted-seq`);
    const second = await producer.accept(request([pack()]));
    const numbers = [first, second].flatMap(({ jobs }) =>
      jobs.flatMap(({ files }) => files.map((file) => file.acceptedSeq)),
    );
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(numbers).size).toBe(3);
  });

  it('adds the same batch twice without a second job', async () => {
    const same = request([pack()]);
    await producer.accept(same);
    const before = await producer.counts();
    await producer.accept(same);
    expect(await producer.counts()).toEqual(before);
  });

  it('keeps the jobs of a batch that comes again with other packs', async () => {
    const [one, two, three] = [pack(), pack(), pack('large')];
    const first = await producer.accept({ ...request([{ lane: 'small', files: [...one.files, ...two.files] }]) });
    const again = request([one, two, three]);
    const second = await producer.accept({ ...again, batchId: first.batchId });
    const filesOf = ({ files }: { files: readonly { assetId: string }[] }) => files.map(({ assetId }) => assetId);
    expect(second.jobs[0]).toEqual(first.jobs[0]);
    expect(second.jobs.map(filesOf)).toEqual([filesOf({ files: [...one.files, ...two.files] }), filesOf(three)]);
    expect(new Set(second.jobs.map(({ jobId }) => jobId)).size).toBe(2);
    expect(await producer.accept({ ...again, batchId: first.batchId })).toMatchObject({ jobs: second.jobs });
  });

  it('begins a batch anew that was given up, past what is left of the first try', async () => {
    const batches = createBatches(redis, PREFIX);
    const again = request([pack(), pack()]);
    const facts = { owner: 'key', total: 2, size: 20, createdAt: 0, firstSeq: 7, packs: 2 };
    await batches.open({ ...facts, batchId: again.batchId, entity: again.entity }, 'accepting');
    await producer.lanes.small.add('upload', {}, { jobId: `${again.batchId}-0` });
    await batches.abandon(again.batchId, 0);
    const { jobs } = await producer.accept(again);
    expect(jobs.map(({ jobId }) => jobId)).not.toContain(`${again.batchId}-0`);
    expect(await batches.acceptance(again.batchId, 0)).toBe('abandoned');
    expect(await batches.abandon(again.batchId, 0)).toBe(true);
    expect(await batches.acceptance(again.batchId, 1)).toBe('accepted');
  });

  it('ranks the first packs of a newcomer before the last ones of a hog', async () => {
    const hog = await producer.accept(
      request(
        Array.from({ length: 30 }, () => pack()),
        'hog',
      ),
    );
    const newcomer = await producer.accept(request([pack()], 'newcomer'));
    const waiting = await producer.listJobs({ state: 'waiting', limit: 1_000 });
    const order = await producer.lanes.small.getPrioritized();
    const place = (jobId: string | undefined) => order.findIndex((job) => job.id === jobId);
    expect(waiting.length).toBeGreaterThan(30);
    expect(place(newcomer.jobs[0]?.jobId)).toBeLessThan(place(hog.jobs[5]?.jobId));
  });

  it('lists jobs by state and project', async () => {
    await producer.accept(request([pack()], 'listed'));
    const jobs = await producer.listJobs({ state: 'waiting', project: 'listed', limit: 10 });
    expect(jobs.map((job) => job.project)).toEqual(['listed']);
  });
});

describe('a batch that could not be taken whole', () => {
  it('is given up when it has several packs: nothing of it counts or runs', async () => {
    const several = request([pack(), pack('large')], 'refused');
    await redis.set(`{${PREFIX}:large}:large:meta`, 'not a hash');
    await expect(producer.accept(several)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE', details: {} });
    await redis.del(`{${PREFIX}:large}:large:meta`);
    expect(await createBatches(redis, PREFIX).acceptance(several.batchId, 0)).toBe('abandoned');
    const rank = await redis.scard(`{${PREFIX}:large}:pending:refused`);
    expect(rank).toBe(0);
  });

  it('says that it may run when nobody could keep it from running', async () => {
    await redis.set(`{${PREFIX}:large}:large:meta`, 'not a hash');
    const failure = producer.accept(request([pack('large')]));
    await expect(failure).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE', details: { mayRun: true } });
    await redis.del(`{${PREFIX}:large}:large:meta`);
  });
});

describe('a job of another version', () => {
  it('is shown with what can be told of it, and breaks no list', async () => {
    await producer.lanes.large.add('upload', { batchId: 'b_old', entity: { project: 'old' } }, { jobId: 'b_old-0' });
    expect(await producer.getJob('b_old-0')).toMatchObject({ batchId: 'b_old', project: 'old', files: [] });
    expect(await producer.listJobs({ state: 'waiting', project: 'old', limit: 10 })).toHaveLength(1);
  });
});

describe('unknown ids', () => {
  it('are undefined', async () => {
    expect(await producer.getBatch('b_unknown')).toBeUndefined();
    expect(await producer.getJob('b_unknown-0')).toBeUndefined();
  });
});

describe('while Redis is away', () => {
  it('fails at once with QUEUE_UNAVAILABLE, and works again when it is back', async () => {
    await server.kill();
    await expect(producer.accept(request([pack()]))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await expect(producer.check()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await server.start();
    await whenConnected(redis, 10_000);
    await producer.check();
  });
});
