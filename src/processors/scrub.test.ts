import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';
import { ALL, openScrubBench, type ReadyFile } from '#test/scrub-bench.ts';
import { sha256 } from '#test/sources.ts';
import { until } from '#test/until.ts';
import type { ScrubPorts } from './scrub.ts';

const bench = await openScrubBench();
const { parts, serve, ready, watched, add, completed, scrub, quarantined, rowOf } = bench;

describe('the scrub', () => {
  it('takes out of service what is damaged or missing, and finds nothing more the next time', async () => {
    const [damaged, gone, whole] = (await ready(3)) as [ReadyFile, ReadyFile, ReadyFile];
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
      return sessions.find((one) => one.project === bench.project);
    };
    await until(async () => (await session())?.count === 1, {
      within: 10_000,
      what: 'the totals to be counted anew',
    });

    await scrub();
    expect(await bench.state.counts()).toEqual({
      checked: 4,
      bytes: 3 * 14,
      different: 1,
      missing: 1,
      held: 0,
      passes: 2,
    });
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
    expect(await bench.state.place()).toMatchObject({ cursor: files[1]?.s3Key, seen: 2 });

    const second = watched();
    serve({ store: second.store });
    await completed(jobId);
    expect(second.reads).toEqual(files.slice(2).map(({ s3Key }) => s3Key));
    expect(await bench.state.place()).toMatchObject({ cursor: undefined, total: 5, due: 0 });
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
    const [file] = (await ready(1)) as [ReadyFile];
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
    const folder = join(parts.dir, 'store/objects/projects', bench.project);
    await rename(folder, join(parts.dir, bench.project));
    serve();
    await scrub();
    expect(await bench.state.counts()).toMatchObject({ checked: 12, missing: 12, held: 2 });
    await scrub();
    expect(await bench.state.counts()).toMatchObject({ missing: 14, held: 4 });
    await rename(join(parts.dir, bench.project), folder);
    await scrub();
    expect(await bench.state.counts()).toMatchObject({ checked: 16, held: 4 });
    const rows = await parts.metadata.getAssets(files.map(({ assetId }) => assetId));
    expect(rows.filter(({ status }) => status === 'ready')).toHaveLength(2);
  });

  it('tells of what an earlier run took out of service and did not come to tell', async () => {
    const [file] = (await ready(1)) as [ReadyFile];
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
