import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { UnrecoverableError, Worker } from 'bullmq';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { AppError } from '#errors';
import { newBatchId } from '#queues/ids.ts';
import { jobOptions, lanePrefix } from '#queues/lanes.ts';
import { openBatchesKey } from '#queues/open-batches.ts';
import { FINDING_CLASSES, type ReconcileReport } from '#queues/reconcile-reports.ts';
import { quarantineKey } from '#storage/keys.ts';
import { bytesSource } from '#storage/source.ts';
import { type Faults, openFaults } from '#test/faults.ts';
import { packWork, someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { startWorker } from './start.ts';

let parts: WorkerParts;
let faults: Faults;
const workers: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  parts = await openWorkerParts();
  const { metadata, redis, dir } = parts;
  faults = openFaults({ metadata, redis, prefix: 'worker', storeDir: `${dir}/store` });
});
afterEach(async () => void (await Promise.all(workers.splice(0).map((worker) => worker.close()))));
afterAll(async () => {
  await parts.close();
  await parts.remove();
});

/** A worker that leaves uploads alone, so that they wait. */
async function serve(own: Partial<WorkerParts> = {}, lanes: WorkerParts['config']['lanes'] = ['maintenance']) {
  const beside = { ...(await openWorkerParts({ beside: parts })), ...own };
  workers.push(await startWorker(beside, { ...parts.config, lanes }));
}

async function ask(order: { prefix?: string; repair?: boolean; force?: boolean } = {}): Promise<string> {
  const { prefix = '', repair = false, force = false } = order;
  const asked = { prefix, repair, force, requestedBy: 'k', requestedAt: Date.now() };
  return (await parts.producer.reconciles.start(asked)).jobId;
}
const whenOver = (jobId: string): Promise<ReconcileReport> =>
  until(
    async () => {
      const report = await parts.producer.reconciles.get(jobId);
      return report?.state === 'done' || report?.state === 'failed' ? report : undefined;
    },
    { within: 30_000, what: 'the reconciliation to end' },
  );
const reconcile = async (order?: Parameters<typeof ask>[0]) => whenOver(await ask(order));

const found = ({ classes }: ReconcileReport) =>
  Object.fromEntries(
    FINDING_CLASSES.map((name) => [name, classes[name].examples.map(({ subject }) => subject).toSorted()]),
  );
const nothing = Object.fromEntries(FINDING_CLASSES.map((name) => [name, []]));
const rowOf = async (key: string) => {
  const { assets } = await parts.metadata.scanAssets(key, { limit: 1 });
  return (await parts.metadata.getAssets(assets.map(({ assetId }) => assetId)))[0];
};

test('each class is found and mended, and what is in order or young is left alone', async () => {
  await faults.sound(3);
  const subjects: Record<string, string[]> = {};
  for (const name of FINDING_CLASSES) subjects[name] = [await faults.make(name), await faults.make(name)].toSorted();
  // The same, but young.
  await parts.stage('projects/p/sessions/s/source_code/a_young/main.py', Buffer.from('just put'));
  await parts.stage('staging/b_young/0', Buffer.from('just staged'));
  await faults.countAll();
  await serve();

  const told = await reconcile();
  expect(found(told)).toEqual(subjects);
  expect(told).toMatchObject({ state: 'done', repair: false, scanned: { objects: 12, uploads: 2, staging: 3 } });
  expect(Object.values(told.classes).map(({ repaired }) => repaired)).toEqual(FINDING_CLASSES.map(() => ({})));

  const mended = await reconcile({ repair: true });
  expect(found(mended)).toEqual(subjects);
  const repaired = Object.fromEntries(FINDING_CLASSES.map((name) => [name, mended.classes[name].repaired]));
  expect(repaired).toEqual({
    ...{ 'orphan-object': { quarantined: 2 }, 'missing-object': { marked: 2 }, 'stuck-status': { marked: 2 } },
    ...{ 'size-mismatch': { marked: 2, quarantined: 2 }, 'checksum-mismatch': { marked: 2, quarantined: 2 } },
    ...{ 'stuck-batch': { ended: 2 }, 'stale-upload': { aborted: 2 }, 'stale-staging': { deleted: 2 } },
    ...{ 'drifted-totals': { recounted: 2 }, 'unnoted-quarantine': { noted: 2 }, 'lost-quarantine': { forgotten: 2 } },
  });
  const [key = ''] = subjects['checksum-mismatch'] ?? [];
  expect(await rowOf(key)).toMatchObject({
    status: 'error',
    error: { code: 'CHECKSUM_MISMATCH', nextAction: 'Upload the file again.' },
  });
  expect(await parts.store.head(key)).toBeUndefined();
  expect(await parts.store.head(quarantineKey(key))).toBeDefined();
  expect(await rowOf(subjects['stuck-status']?.[0] ?? '')).toMatchObject({ error: { code: 'JOB_LOST' } });

  await until(async () => (await parts.redis.zcard(openBatchesKey('worker'))) === 0, {
    ...{ within: 10_000, what: 'the batches to end' },
  });
  expect(found(await reconcile({ repair: true }))).toEqual(nothing);
});

test('what a job works on is left alone, however old it is', async () => {
  const work = packWork(parts);
  const staged = `staging/${newBatchId()}/0`;
  await faults.old.put(staged, bytesSource(Buffer.from('x')), {
    contentType: 'text/plain',
  });
  const file = someFile({ kind: 'staged', key: staged });
  const { batchId, jobs } = await work.accept([{ lane: 'small', files: [file] }], { createdAt: faults.at });
  const { facts } = await faults.pending();
  const jobId = jobs[0]?.jobId ?? '';
  await parts.metadata.applyStatuses([
    {
      ...{ facts: { ...facts, assetId: file.assetId, s3Key: file.s3Key, batchId, jobId }, fence: [0, 1, 1] },
      ...{ status: 'uploading', progress: 0, attempt: 1, maxAttempts: 3 },
    },
  ]);
  await faults.old.put(file.s3Key, bytesSource(Buffer.from('x')), {
    contentType: 'text/plain',
  });
  await serve();
  const report = await reconcile({ repair: true });
  expect(found(report)).toEqual({ ...nothing, 'stuck-status': [facts.s3Key] });
  await parts.producer.cancelJob(jobId);
  await (await parts.producer.lanes.small.getJob(jobId))?.remove();
  await parts.producer.lanes.maintenance.waitUntilReady();

  // Nobody works on it any more: the bytes are whole, and so the file is ready; nobody needs what was staged.
  const after = await reconcile({ repair: true });
  expect(after.classes['orphan-object']).toMatchObject({ found: 1, repaired: { adopted: 1 } });
  expect(found(after)).toMatchObject({ 'orphan-object': [file.s3Key], 'stale-staging': [staged], 'stuck-batch': [] });
  expect(await rowOf(file.s3Key)).toMatchObject({ status: 'ready', size: 1 });
});

test('a dead letter whose row does not say so tells it, and keeps its bytes', async () => {
  const jobId = `${newBatchId()}-0`;
  const staged = `staging/${newBatchId()}/0`;
  await faults.old.put(staged, bytesSource(Buffer.from('x')), {
    contentType: 'text/plain',
  });
  const { facts, ...state } = await faults.pending();
  const dead = { ...facts, assetId: `${facts.assetId}-d`, s3Key: facts.s3Key.replace('main', 'dead'), jobId };
  await parts.metadata.applyStatuses([{ ...state, facts: dead }]);
  const files = [{ origin: { kind: 'staged', key: staged } }];
  await parts.producer.lanes.small.add('upload', { files }, { ...jobOptions('upload', jobId), attempts: 1 });
  const failing = new Worker(
    'small',
    async () => {
      throw new UnrecoverableError('STORE_REJECTED: The store refused it.');
    },
    { connection: parts.redis, prefix: lanePrefix('worker', 'small') },
  );
  await until(async () => (await parts.producer.lanes.small.getJobState(jobId)) === 'failed', {
    ...{ within: 10_000, what: 'the job to fail' },
  });
  await failing.close();
  await serve();
  const report = await reconcile({ repair: true });
  expect(found(report)).toEqual({ ...nothing, 'stuck-status': [dead.s3Key, facts.s3Key].toSorted() });
  expect(await rowOf(dead.s3Key)).toMatchObject({ status: 'error', error: { code: 'STORE_REJECTED' } });
  expect(await parts.store.head(staged)).toBeDefined();
});

test('a file whose object is gone is uploaded again by its job', async () => {
  const work = packWork(parts);
  const path = join(parts.dir, 'again.py');
  await writeFile(path, 'print(1)');
  await serve({}, ['small', 'maintenance']);
  const file = someFile({ kind: 'path', path });
  const { batchId } = await work.accept([{ lane: 'small', files: [file] }], { createdAt: faults.at });
  await work.whenDone(batchId);
  await parts.store.deleteMany([file.s3Key]);
  const { classes } = await reconcile({ repair: true, prefix: file.s3Key });
  expect(classes['missing-object'].repaired).toEqual({ marked: 1, reenqueued: 1 });
  expect(await work.whenRow(file.assetId, 'ready')).toMatchObject({ version: 1 });
  expect(await parts.store.head(file.s3Key)).toBeDefined();
});

test('a run that is cut off while it repairs goes on, and counts everything once', async () => {
  const keys = await Promise.all(Array.from({ length: 12 }, () => faults.make('orphan-object')));
  let refusals = 0;
  const { store } = parts;
  await serve({
    store: {
      ...store,
      async quarantine(key) {
        const moved = await store.quarantine(key);
        if (keys.indexOf(key) < 6 || refusals > 0) return moved;
        refusals += 1;
        throw new AppError('STORE_UNAVAILABLE', 'The store went away before it answered.');
      },
    },
  });
  const report = await reconcile({ repair: true });
  expect(refusals).toBe(1);
  expect(report.classes['orphan-object']).toMatchObject({ found: 12, repaired: { quarantined: 12 }, failed: 0 });
});

test('Convex away makes it wait, and spends no attempt', async () => {
  const key = await faults.make('orphan-object');
  await serve();
  await parts.engine.kill();
  const jobId = await ask();
  const job = await until(
    async () => {
      const one = await parts.producer.lanes.maintenance.getJob(jobId);
      return (await one?.isDelayed()) ? one : undefined;
    },
    { within: 20_000, what: 'the job to wait' },
  );
  expect(job.attemptsMade).toBe(0);
  await parts.engine.start();
  expect(found(await whenOver(jobId))).toEqual({ ...nothing, 'orphan-object': [key] });
});

test('a prefix leaves out what is not under it', async () => {
  const [key = '', other = ''] = await Promise.all([faults.make('missing-object'), faults.make('missing-object')]);
  await faults.make('stale-staging');
  await serve();
  expect(found(await reconcile({ prefix: key }))).toEqual({ ...nothing, 'missing-object': [key] });
  const folder = other.slice(0, other.indexOf('scenes/'));
  const { 'missing-object': missing = [], 'stale-staging': staging } = found(await reconcile({ prefix: folder }));
  expect(missing).toContain(other);
  expect(staging).toEqual([]);
});

test('it stops at once while it reads an object, and spends no attempt', async () => {
  const { facts, ...state } = await faults.pending();
  const file = someFile({ kind: 'path', path: '/nowhere' });
  const own = { ...facts, assetId: file.assetId, s3Key: file.s3Key };
  await parts.metadata.applyStatuses([{ ...state, size: 1, facts: own }]);
  await faults.old.put(file.s3Key, bytesSource(Buffer.from('x')), { contentType: 'text/plain' });
  const reading = Promise.withResolvers<void>();
  const get: WorkerParts['store']['get'] = async (key, options = {}) => {
    const found = await parts.store.get(key, options);
    const body = new Readable({ read: () => reading.resolve() });
    return { ...found, body: options.signal ? addAbortSignal(options.signal, body) : body };
  };
  await serve({ store: { ...parts.store, get } });
  const jobId = await ask({ prefix: file.s3Key, repair: true });
  await reading.promise;
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  const job = await parts.producer.lanes.maintenance.getJob(jobId);
  expect([await job?.getState(), job?.attemptsMade]).toEqual(['waiting', 0]);
  await serve();
  expect((await whenOver(jobId)).classes['orphan-object'].repaired).toEqual({ adopted: 1 });
});

test('one whose job ended without a word has failed', async () => {
  const jobId = await ask();
  await (await parts.producer.lanes.maintenance.getJob(jobId))?.remove();
  expect(await parts.producer.reconciles.latest()).toMatchObject({ jobId, state: 'waiting' });
  const lost = { prefix: '', repair: false, force: false, requestedBy: 'k', requestedAt: faults.at };
  const { jobId: other } = await parts.producer.reconciles.start(lost);
  await (await parts.producer.lanes.maintenance.getJob(other))?.remove();
  expect(await parts.producer.reconciles.get(other)).toMatchObject({ state: 'failed', error: { code: 'JOB_LOST' } });
});

test('what looks like another bucket is told and left alone, unless forced', async () => {
  const { metadata, redis, dir } = parts;
  const many = openFaults({ metadata, redis, prefix: 'worker', storeDir: `${dir}/store`, hasty: true });
  await many.sound(101, { project: 'away', session: 's', scene: 'c' });
  const folder = join(dir, 'store/objects/projects/away');
  await rename(folder, join(dir, 'elsewhere'));
  await serve();

  const prefix = 'projects/away/';
  const missing = async (order: object) => (await reconcile({ prefix, ...order })).classes['missing-object'];
  expect(await missing({ repair: true })).toMatchObject({ found: 101, repaired: {}, failed: 0, held: 101 });
  expect(await missing({})).toMatchObject({ found: 101, held: 0 });
  await rename(join(dir, 'elsewhere'), folder);
  expect(await missing({ repair: true })).toMatchObject({ found: 0 });

  await rename(folder, join(dir, 'elsewhere'));
  expect(await missing({ repair: true, force: true })).toMatchObject({
    found: 101,
    repaired: { marked: 101 },
    held: 0,
  });
});
