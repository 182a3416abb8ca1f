import { createHash } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBatches } from '#queues/batches.ts';
import type { FileOrigin } from '#queues/catalog.ts';
import { assetIdOf, newBatchId } from '#queues/ids.ts';
import { jobOptions } from '#queues/lanes.ts';
import type { BatchView, JobView, PlannedPack } from '#queues/producer.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { startWorker } from './start.ts';

let parts: WorkerParts;
let worker: { close(): Promise<void> };

beforeAll(async () => {
  parts = await openWorkerParts();
  worker = await startWorker(parts, parts.config);
});
afterAll(async () => {
  await worker.close();
  await parts.remove();
});

const entity = { project: 'p', session: 's', scene: 'c' };
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

type File = PlannedPack['files'][number];
const file = (origin: FileOrigin, own: Partial<File> = {}): File => {
  const assetId = assetIdOf(newBatchId(), 0);
  const s3Key = `projects/p/sessions/s/scenes/c/source_code/${assetId}/main.py`;
  return {
    assetId,
    assetType: 'source_code',
    filename: 'main.py',
    contentType: 'text/x-python',
    s3Key,
    visibility: 'private',
    metadata: {},
    origin,
    ...own,
  };
};
const accept = async (packs: PlannedPack[]) =>
  parts.producer.accept({
    batchId: newBatchId(),
    entity,
    packs,
    correlationId: 'corr',
    createdBy: 'key',
    createdAt: Date.now(),
  });
const whenDone = (batchId: string): Promise<BatchView> =>
  until(
    async () => {
      const batch = await parts.producer.getBatch(batchId);
      return batch?.state === 'done' ? batch : undefined;
    },
    { within: 25_000, what: 'the batch to be done' },
  );
const whenJob = (jobId: string | undefined, state: JobView['state']): Promise<JobView> =>
  until(
    async () => {
      const view = await parts.producer.getJob(jobId ?? '');
      return view?.state === state ? view : undefined;
    },
    { within: 10_000, what: `the job to be ${state}` },
  );
const rowOf = async (assetId: string) => (await parts.metadata.getAssets([assetId]))[0];

/** Files of one staged object, one after the other. */
async function staged(texts: string[], own: Partial<File> = {}): Promise<{ key: string; files: File[] }> {
  const key = `staging/${newBatchId()}/pack-0`;
  await parts.stage(key, Buffer.from(texts.join('')));
  let offset = 0;
  const files = texts.map((text) => {
    const slice = { offset, length: text.length };
    offset += text.length;
    return file({ kind: 'staged', key, slice }, { size: text.length, checksum: sha256(Buffer.from(text)), ...own });
  });
  return { key, files };
}

describe('a pack', () => {
  it('becomes ready file by file, with its own bytes, and leaves nothing staged', async () => {
    const { key, files } = await staged(['one', 'two!', 'three']);
    const { batchId } = await accept([{ lane: 'small', files }]);
    expect(await whenDone(batchId)).toMatchObject({ total: 3, failed: [] });
    for (const { assetId, size, checksum, s3Key } of files) {
      expect(await rowOf(assetId)).toMatchObject({
        status: 'ready',
        progress: 1,
        size,
        checksum,
        s3Key,
        correlationId: 'corr',
      });
      expect(await parts.store.head(s3Key)).toMatchObject({ size });
    }
    await until(async () => (await parts.store.head(key)) === undefined, {
      within: 5_000,
      what: 'the staged bytes to go',
    });
    expect(await parts.outbox.size()).toBe(0);
  });

  it('with a broken file fails narrowed to it, says so everywhere, and commits the others', async () => {
    const good = await staged(['fine']);
    const bad = await staged(['other bytes'], { checksum: sha256(Buffer.from('announced')) });
    const broken = bad.files[0]?.assetId ?? '';
    const { batchId, jobs } = await accept([{ lane: 'small', files: [...good.files, ...bad.files] }]);

    const batch = await whenDone(batchId);
    expect(batch.successful).toEqual([good.files[0]?.assetId]);
    expect(batch.failed).toMatchObject([{ assetId: broken, error: { code: 'CHECKSUM_MISMATCH', retryable: false } }]);
    await until(async () => (await rowOf(broken))?.status === 'error', { within: 5_000, what: 'the row to say error' });
    expect((await rowOf(broken))?.error?.code).toBe('CHECKSUM_MISMATCH');
    expect((await whenJob(jobs[0]?.jobId, 'failed')).error?.code).toBe('CHECKSUM_MISMATCH');
    expect(await parts.store.head(bad.files[0]?.s3Key ?? '')).toBeUndefined();
    expect(await parts.store.head(bad.key)).toBeDefined();
  });
});

describe('a staged file', () => {
  it('whose bytes are gone ends as ORIGIN_NOT_FOUND', async () => {
    const origin = { kind: 'staged', key: `staging/${newBatchId()}/0` } as const;
    const { batchId } = await accept([{ lane: 'small', files: [file(origin, { size: 5 })] }]);
    expect((await whenDone(batchId)).failed).toMatchObject([{ error: { code: 'ORIGIN_NOT_FOUND', retryable: false } }]);
  });
});

describe('a pack that was accepted late', () => {
  it('runs all the same: its age counts from when it was added', async () => {
    const path = join(parts.dir, 'late.py');
    await writeFile(path, 'pass');
    const packs = Array.from({ length: 20 }, () => ({
      lane: 'small' as const,
      files: [file({ kind: 'path', path }, { size: 4 })],
    }));
    const batchId = newBatchId();
    const long = { correlationId: 'corr', createdBy: 'key', createdAt: Date.now() - 120_000 };
    await parts.producer.accept({ batchId, entity, packs, ...long });
    expect(await whenDone(batchId)).toMatchObject({ total: 20, failed: [] });
  });
});

describe('a job that a crash repeats after its end', () => {
  it('knows that its files are ready', async () => {
    const { files } = await staged(['done before']);
    const { batchId, jobs } = await accept([{ lane: 'small', files }]);
    const jobId = jobs[0]?.jobId ?? '';
    await whenJob(jobId, 'completed');
    const data = (await parts.producer.lanes.small.getJob(jobId))?.data;
    await parts.producer.lanes.small.remove(jobId);
    await parts.producer.lanes.small.add('upload', data, jobOptions('upload', jobId));
    await whenJob(jobId, 'completed');
    expect(await whenDone(batchId)).toMatchObject({ failed: [], successful: [files[0]?.assetId] });
  });
});

describe('a job of another version', () => {
  it('is a dead letter, and its batch says which files it had', async () => {
    const batchId = newBatchId();
    const total = { owner: 'key', total: 1, size: 1, createdAt: Date.now(), firstSeq: 1, packs: 1 };
    await createBatches(parts.redis, parts.config.redis.prefix).open({ batchId, entity, ...total }, 'accepted');
    const data = { batchId, entity, files: [{ assetId: 'a_old', filename: 'old.py' }] };
    await parts.producer.lanes.small.add('upload', data, jobOptions('upload', `${batchId}-0`));
    expect((await whenDone(batchId)).failed).toMatchObject([
      { assetId: 'a_old', error: { code: 'VALIDATION_FAILED' } },
    ]);
  });
});

describe('a file that moved to lane large', () => {
  it('shows its final error, however often it had started before', async () => {
    const path = join(parts.dir, 'broken.mp4');
    await writeFile(path, 'film');
    await truncate(path, 17 * 1024 * 1024);
    const broken = file({ kind: 'path', path }, { checksum: 'ab'.repeat(32) });
    const batchId = newBatchId();
    const batches = createBatches(parts.redis, parts.config.redis.prefix);
    await batches.open(
      { batchId, entity, owner: 'key', total: 1, size: 1, createdAt: Date.now(), firstSeq: 1, packs: 1 },
      'accepting',
    );
    const data = { batchId, entity, files: [{ ...broken, acceptedSeq: 1 }], awaitAcceptance: true };
    const request = { correlationId: 'corr', createdBy: 'key', createdAt: Date.now() };
    await parts.producer.lanes.small.add('upload', { ...data, ...request }, jobOptions('upload', `${batchId}-0`));
    await whenJob(`${batchId}-0`, 'delayed');
    await batches.accept(batchId);
    expect((await whenDone(batchId)).failed).toMatchObject([{ error: { code: 'CHECKSUM_MISMATCH' } }]);
    await until(async () => (await rowOf(broken.assetId))?.status === 'error', {
      within: 15_000,
      what: 'the row to say error',
    });
  });
});

describe('a file of unknown size', () => {
  it('that outgrows lane small goes on in lane large', async () => {
    const path = join(parts.dir, 'film.mp4');
    await writeFile(path, 'film');
    await truncate(path, 17 * 1024 * 1024);
    const { batchId, jobs } = await accept([{ lane: 'small', files: [file({ kind: 'path', path })] }]);
    expect(await whenDone(batchId)).toMatchObject({ failed: [] });
    expect(await whenJob(jobs[0]?.jobId, 'completed')).toMatchObject({ lane: 'large' });
  });
});

describe('a pack of a batch that was never accepted', () => {
  it('discards itself after a minute and leaves no job', async () => {
    const batchId = newBatchId();
    const data = {
      batchId,
      entity,
      files: [{ ...file({ kind: 'path', path: '/x' }), acceptedSeq: 1 }],
      awaitAcceptance: true,
    };
    const total = { owner: 'key', total: 1, size: 1, createdAt: Date.now(), firstSeq: 1, packs: 1 };
    await createBatches(parts.redis, parts.config.redis.prefix).open({ batchId, entity, ...total }, 'accepting');
    const old = { correlationId: 'corr', createdBy: 'key', createdAt: Date.now() };
    await parts.producer.lanes.small.add(
      'upload',
      { ...data, ...old },
      { ...jobOptions('upload', `${batchId}-0`), timestamp: Date.now() - 61_000 },
    );
    await until(async () => (await parts.producer.getJob(`${batchId}-0`)) === undefined, {
      within: 5_000,
      what: 'the job to be gone',
    });
  });
});

describe('while Convex is away', () => {
  beforeEach(() => parts.engine.kill());
  afterEach(() => parts.engine.start());

  it('files are stored and wait, spending no attempt; afterwards they are only committed', async () => {
    const { key, files } = await staged(['patience']);
    const { batchId, jobs } = await accept([{ lane: 'small', files }]);
    const waiting = await whenJob(jobs[0]?.jobId, 'delayed');
    expect(waiting).toMatchObject({ attempts: 0, error: { code: 'METADATA_UNAVAILABLE' } });
    expect(waiting.nextRetryAt).toBeGreaterThan(Date.now());
    await parts.store.deleteMany([key]);
    await parts.engine.start();
    expect(await whenDone(batchId)).toMatchObject({ successful: [files[0]?.assetId] });
    await parts.engine.kill();
  });
});
