import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { JOBS } from '#queues/catalog.ts';
import { createFollowUps } from '#queues/follow-ups.ts';
import { jobOptions } from '#queues/lanes.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import { createScrubState, type ScrubState } from '#queues/scrub-state.ts';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';
import { someCommit } from '#test/asset-facts.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { recountProcessor } from './recount.ts';
import type { Processors } from './run.ts';
import { type ScrubPorts, scrubProcessor } from './scrub.ts';
import { type LaneWorker, startLaneWorker } from './worker.ts';

const LATER = 2 * 3_600_000;
/** So many of a hundred in a day that each run reads all. */
const ALL = 2_400;

let parts: WorkerParts;
/** A test's own, and all that its scrub sees. */
let project: string;
let state: ScrubState;
let workers: LaneWorker[];
let runs = 0;

beforeAll(async () => {
  parts = await openWorkerParts();
});
afterAll(async () => {
  await parts.close();
  await parts.remove();
});
beforeEach(() => {
  project = `p-${++runs}`;
  state = createScrubState(parts.redis, project, parts.producer.lanes.maintenance);
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close(5_000)));
});

/** A worker that scrubs two hours from now, with some of its ports replaced. */
function serve(own: Partial<ScrubPorts> = {}): LaneWorker {
  const { redis, producer, store, metadata, audit, urlCache, log, metrics } = parts;
  const pending = createPendingPacks(redis, 'worker');
  const { recount } = createFollowUps(producer.lanes, pending);
  const prefix = `projects/${project}/`;
  const scanned = { ...metadata, scanAssets: (_prefix: string, page: Page) => metadata.scanAssets(prefix, page) };
  const scrub = scrubProcessor({
    ...{ store, metadata: scanned, audit, urlCache, log, state, recount, getJob: producer.getJob },
    ...{ now: () => Date.now() + LATER, percentPerDay: ALL, monotonic: () => performance.now() },
    ...own,
  });
  const idle = Object.fromEntries(Object.keys(JOBS).map((job) => [job, async () => ({ end: 'done' })]));
  const processors = { ...idle, scrub, recount: recountProcessor(metadata) } as unknown as Processors;
  const worker = startLaneWorker('maintenance', {
    ...{ redis, prefix: 'worker', processors, pending, log, metrics },
    ...{ onUnreadable: async () => undefined, isAnythingAway: async () => false, random: Math.random },
  });
  workers.push(worker);
  return worker;
}

/** Files that are ready, by key. */
async function ready(count: number) {
  const items = [];
  for (let at = 0; at < count; at += 1) {
    const bytes = Buffer.from(`the bytes of ${at}`);
    const scene = { project, session: 's', scene: 'c' };
    const item = someCommit(scene, { s3Key: `projects/${project}/${at}`, acceptedSeq: at + 1 });
    const stored = await parts.store.put(item.facts.s3Key, pieces(bytes), { contentType: 'video/mp4' });
    expect(stored.checksum).toBe(sha256(bytes));
    items.push({ ...item, stored });
  }
  await parts.metadata.commit(items);
  return items.map(({ facts: { assetId, s3Key } }) => ({
    assetId,
    s3Key,
    path: join(parts.dir, 'store/objects', s3Key),
  }));
}

async function add(): Promise<string> {
  const jobId = `scrub-${++runs}`;
  await parts.producer.lanes.maintenance.add('scrub', {}, jobOptions('scrub', jobId));
  return jobId;
}
const completed = (jobId: string) =>
  until(async () => (await parts.producer.lanes.maintenance.getJobState(jobId)) === 'completed', {
    within: 15_000,
    what: `${jobId} to be completed`,
  });
const scrub = async () => completed(await add());
const quarantined = async () => {
  const { objects } = await parts.metadata.listQuarantined({ limit: 500 });
  return objects.filter(({ s3Key }) => s3Key.startsWith(`projects/${project}/`));
};
const rowOf = async (assetId: string) => (await parts.metadata.getAssets([assetId]))[0];

/** The disk store, which tells of each object that is read. */
function watched(onRead: (key: string, reads: number, signal?: AbortSignal) => Promise<void> | void = () => undefined) {
  const reads: string[] = [];
  const get: Store['get'] = async (key, options) => {
    reads.push(key);
    await onRead(key, reads.length, options?.signal);
    return parts.store.get(key, options);
  };
  return { reads, store: { quarantine: parts.store.quarantine, get } };
}

describe('the scrub', () => {
  it('takes out of service what is damaged or missing, and finds nothing more the next time', async () => {
    const [damaged, gone, whole] = (await ready(3)) as [Ready, Ready, Ready];
    await writeFile(damaged.path, 'the bytes of 1');
    await parts.store.deleteMany([gone.s3Key]);
    for (const { assetId } of [damaged, gone]) {
      expect(await parts.urlCache.find(assetId)).toMatchObject({ entry: { status: 'ready' } });
    }
    serve();
    await scrub();
    expect(await rowOf(damaged.assetId)).toMatchObject({
      status: 'error',
      error: { code: 'CHECKSUM_MISMATCH', details: { found: { checksum: sha256(Buffer.from('the bytes of 1')) } } },
    });
    expect(await rowOf(gone.assetId)).toMatchObject({ status: 'error', error: { code: 'OBJECT_MISSING' } });
    expect(await rowOf(whole.assetId)).toMatchObject({ status: 'ready', current: true });
    expect(await parts.store.head(damaged.s3Key)).toBeUndefined();
    expect(await parts.store.head(quarantineKey(damaged.s3Key))).toMatchObject({ size: 14 });
    expect(await quarantined()).toMatchObject([{ s3Key: damaged.s3Key, assetId: damaged.assetId }]);
    for (const { assetId } of [damaged, gone]) {
      expect(await parts.urlCache.find(assetId)).toMatchObject({ entry: { status: 'error' } });
    }
    expect(await parts.audit.size()).toBe(2);
    const session = async () => {
      const { sessions } = await parts.metadata.scanSessions({ limit: 100 });
      return sessions.find((one) => one.project === project);
    };
    await until(async () => (await session())?.count === 1, {
      within: 10_000,
      what: 'the totals to be counted anew',
    });

    await scrub();
    expect(await state.counts()).toEqual({ checked: 4, bytes: 3 * 14, different: 1, missing: 1, held: 0, passes: 2 });
    expect(await parts.audit.size()).toBe(2);
    expect(await rowOf(whole.assetId)).toMatchObject({ status: 'ready' });
  });

  it('goes on where it was stopped, with what was due', async () => {
    const files = await ready(5);
    const stopped = Promise.withResolvers<void>();
    const first = watched(async (_key, reads, signal) => {
      if (reads < 3 || !signal) return;
      stopped.resolve();
      await once(signal, 'abort');
      signal.throwIfAborted();
    });
    const worker = serve({ store: first.store });
    const jobId = await add();
    await stopped.promise;
    await worker.close(5_000);
    expect(await state.place()).toMatchObject({ cursor: files[1]?.s3Key, seen: 2 });

    const second = watched();
    serve({ store: second.store });
    await completed(jobId);
    expect(second.reads).toEqual(files.slice(2).map(({ s3Key }) => s3Key));
    expect(await state.place()).toMatchObject({ cursor: undefined, total: 5, due: 0 });
  });

  it('spends no attempt when it is stopped while the store owes it bytes', async () => {
    await ready(1);
    const reading = Promise.withResolvers<void>();
    const get: Store['get'] = async (key, options = {}) => {
      const found = await parts.store.get(key, options);
      const body = new Readable({ read: () => reading.resolve() });
      return { ...found, body: options.signal ? addAbortSignal(options.signal, body) : body };
    };
    const worker = serve({ store: { quarantine: parts.store.quarantine, get } });
    const jobId = await add();
    await reading.promise;
    await worker.close(5_000);
    const job = await parts.producer.lanes.maintenance.getJob(jobId);
    expect(await job?.getState()).toBe('waiting');
    expect(job?.attemptsMade).toBe(0);
    serve();
    await completed(jobId);
  });

  it('reads its share of a day in each run', async () => {
    const files = await ready(5);
    const { store, reads } = watched();
    serve({ store, percentPerDay: ALL / 2 });
    await scrub();
    expect(reads).toHaveLength(5);
    for (const expected of [2, 3]) {
      reads.splice(0);
      await scrub();
      expect(reads).toHaveLength(expected);
    }
    expect(reads).toEqual(files.slice(2).map(({ s3Key }) => s3Key));
  });

  it('leaves alone what is young, or worked on, or read rightly the second time', async () => {
    const [file] = (await ready(1)) as [Ready];
    await writeFile(file.path, 'the bytes of 1');
    const young = serve({ now: Date.now });
    await scrub();
    await young.close(5_000);
    const busy = serve({ getJob: async () => ({ state: 'active' }) as Awaited<ReturnType<ScrubPorts['getJob']>> });
    await scrub();
    await busy.close(5_000);
    const mended = watched(async (_key, reads) => {
      if (reads === 2) await writeFile(file.path, 'the bytes of 0');
    });
    serve({ store: mended.store });
    await scrub();
    expect(mended.reads).toHaveLength(2);
    expect(await rowOf(file.assetId)).toMatchObject({ status: 'ready' });
    expect(await quarantined()).toEqual([]);
  });

  it('is at work once at a time, and not at all when it is switched off', async () => {
    await ready(1);
    const reading = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const { store, reads } = watched(async () => {
      reading.resolve();
      await goOn.promise;
    });
    const worker = serve({ store });
    const jobId = await add();
    await reading.promise;
    await scrub();
    expect(reads).toHaveLength(1);
    goOn.resolve();
    await completed(jobId);
    await scrub();
    expect(reads).toHaveLength(2);
    await worker.close(5_000);

    const off = watched();
    serve({ store: off.store, percentPerDay: 0 });
    await scrub();
    expect(off.reads).toEqual([]);
  });

  it('takes only a few out of service when nearly all is missing', async () => {
    const files = await ready(12);
    const folder = join(parts.dir, 'store/objects/projects', project);
    await rename(folder, join(parts.dir, project));
    serve();
    await scrub();
    expect(await state.counts()).toMatchObject({ checked: 12, missing: 12, held: 2 });
    await scrub();
    expect(await state.counts()).toMatchObject({ missing: 14, held: 4 });
    await rename(join(parts.dir, project), folder);
    await scrub();
    expect(await state.counts()).toMatchObject({ checked: 16, held: 4 });
    const rows = await parts.metadata.getAssets(files.map(({ assetId }) => assetId));
    expect(rows.filter(({ status }) => status === 'ready')).toHaveLength(2);
  });

  it('tells of what an earlier run took out of service and did not come to tell', async () => {
    const [file] = (await ready(1)) as [Ready];
    expect(await parts.urlCache.find(file.assetId)).toMatchObject({ entry: { status: 'ready' } });
    const failing = serve({
      urlCache: {
        drop: async () => {
          throw new Error('The process died.');
        },
      },
    });
    await parts.store.deleteMany([file.s3Key]);
    const jobId = await add();
    await until(async () => (await rowOf(file.assetId))?.status === 'error', { within: 10_000, what: 'the row' });
    await failing.close(1_000);
    serve();
    await completed(jobId);
    expect(await parts.urlCache.find(file.assetId)).toMatchObject({ entry: { status: 'error' } });
  });
});

type Page = Parameters<WorkerParts['metadata']['scanAssets']>[1];
interface Ready {
  readonly assetId: string;
  readonly s3Key: string;
  readonly path: string;
}
