import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HeldOrigin, startHeldOrigin } from '#test/held-origin.ts';
import { packWork, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { startWorker } from './start.ts';

let origin: HeldOrigin;
let parts: WorkerParts;
let worker: { close(): Promise<void> };
let work: ReturnType<typeof packWork>;

beforeAll(async () => {
  origin = await startHeldOrigin();
  parts = await openWorkerParts({
    env: {
      ...{ URL_ORIGIN_PORTS: String(origin.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.0/8' },
      UPLOAD_TIMEOUT_SECONDS: '1',
    },
  });
  work = packWork(parts);
  worker = await startWorker(parts, parts.config);
});
afterAll(async () => {
  await worker.close();
  await parts.remove();
  await origin.close();
});

const held = () => {
  const file = origin.hold(Buffer.from('held bytes'), 3);
  return { ...file, file: someFile({ kind: 'url', url: file.url }) };
};
const first = <T>([item]: readonly T[]): T => item as T;

it('a file that stalls ends its own tries as TIMED_OUT, and the others of its pack are ready', async () => {
  const { files } = await work.staged(['quick']);
  const stalling = held();
  const { batchId, jobs } = await work.accept([{ lane: 'small', files: [...files, stalling.file] }]);
  const waiting = await work.whenJob(first(jobs).jobId, 'delayed');
  expect(waiting).toMatchObject({ attempts: 1, error: { code: 'TIMED_OUT', retryable: true } });
  await work.whenRow(first(files).assetId, 'ready');

  const batch = await work.whenDone(batchId);
  expect(batch.successful).toEqual([first(files).assetId]);
  expect(batch.failed).toMatchObject([{ error: { code: 'TIMED_OUT' }, attempt: 3, maxAttempts: 3 }]);
  expect(await work.whenRow(stalling.file.assetId, 'error')).toMatchObject({ attempt: 3, maxAttempts: 3 });
  expect(stalling.requests()).toBe(3);
  expect(stalling.readers()).toBe(0);
});

it('files of one pack have tries of their own', async () => {
  const once = held();
  once.cut(1);
  const twice = held();
  twice.cut(2);
  const { batchId } = await work.accept([{ lane: 'small', files: [once.file, twice.file] }]);
  // Cut off the first time, they are let through after.
  await once.read();
  once.release();
  await twice.read();
  expect(await work.whenRow(once.file.assetId, 'ready')).toMatchObject({ attempt: 2, maxAttempts: 3 });
  twice.release();
  expect(await work.whenRow(twice.file.assetId, 'ready')).toMatchObject({ attempt: 3, maxAttempts: 3 });
  expect((await work.whenDone(batchId)).failed).toEqual([]);
});

it('a replayed file has all of its tries again', async () => {
  const stalling = held();
  const { batchId, jobs } = await work.accept([{ lane: 'small', files: [stalling.file] }]);
  await work.whenJob(first(jobs).jobId, 'failed');
  const job = await parts.producer.lanes.small.getJob(first(jobs).jobId);
  await job?.retry('failed', { resetAttemptsMade: true });
  await work.whenJob(first(jobs).jobId, 'delayed');
  stalling.release();
  expect(await work.whenRow(stalling.file.assetId, 'ready')).toMatchObject({ attempt: 2, maxAttempts: 3 });
  const ready = async () => (await parts.producer.getBatch(batchId))?.successful[0];
  // The batch was done before, too: with the file's failure.
  expect(await until(ready, { within: 25_000, what: 'the batch to know' })).toBe(stalling.file.assetId);
});
