import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startWorker } from '#processors/start.ts';
import { type HeldOrigin, startHeldOrigin } from '#test/held-origin.ts';
import { packWork, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { openTestBucket, type TestBucket } from './bucket.ts';

const MIB = 1024 ** 2;
let bucket: TestBucket;
let origin: HeldOrigin;
let api: WorkerParts;
let env: NodeJS.ProcessEnv;
const workers: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [bucket, origin] = await Promise.all([openTestBucket(), startHeldOrigin()]);
  env = { URL_ORIGIN_PORTS: String(origin.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.0/8' };
  api = await openWorkerParts({ env });
}, 180_000);
afterAll(async () => {
  await api.close();
  await Promise.all([api.remove(), origin.close(), bucket.close()]);
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
});

async function serve() {
  const parts = await openWorkerParts({ env, beside: api });
  const worker = await startWorker({ ...parts, store: bucket.open() }, parts.config);
  workers.push(worker);
  return worker;
}

/** A job that has sent two parts of three, and waits for the bytes of the third. */
async function halfUploaded() {
  const held = origin.hold(Buffer.alloc(12 * MIB, 1), 11 * MIB);
  const file = someFile({ kind: 'url', url: held.url });
  const { batchId, jobs } = await packWork(api).accept([{ lane: 'small', files: [file] }]);
  await until(async () => (await bucket.openUploads()).length > 0, {
    within: 20_000,
    what: 'the upload to begin',
  });
  return { batchId, jobId: jobs[0]?.jobId ?? '' };
}

describe('a cancelled job', () => {
  it('that is active leaves no upload open', async () => {
    await serve();
    const { jobId } = await halfUploaded();
    await api.producer.cancelJob(jobId);
    expect(await packWork(api).whenJob(jobId, 'completed')).toMatchObject({ error: { code: 'CANCELLED' } });
    expect(await bucket.openUploads()).toEqual([]);
  });

  it('that another worker had begun and parked leaves no upload open either', async () => {
    const first = await serve();
    const { batchId, jobId } = await halfUploaded();
    await first.close();
    workers.length = 0;
    expect(await bucket.openUploads()).toHaveLength(1);
    await api.producer.cancelJob(jobId);
    await serve();
    await packWork(api).whenJob(jobId, 'completed');
    expect((await packWork(api).whenDone(batchId)).failed).toMatchObject([{ error: { code: 'CANCELLED' } }]);
    expect(await bucket.openUploads()).toEqual([]);
  });
});
