import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { quarantineKey } from '#storage/keys.ts';
import { someFile } from '#test/pack-work.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import { spoolingJob } from './spools.ts';

const MIB = 1024 ** 2;
const WITHIN = 20_000;
/** More than one part, of a server that sends no ranges. */
const film = randomBytes(10 * MIB);

const bench = await openWorkerBench();

async function upload(commit: 'each' | 'batch' = 'each') {
  const held = bench.origin.hold(film, 9 * MIB);
  const file = someFile({ kind: 'url', url: held.url }, { contentType: 'application/octet-stream' });
  const { batchId, jobs } = await bench.work.accept([{ lane: 'small', files: [file] }], { commit });
  return { held, file, batchId, jobId: jobs[0]?.jobId };
}

/** Everything of the batch that is or was begun under `staging/`. */
async function stagedOf(batchId: string): Promise<string[]> {
  const { store } = bench.api;
  const [{ objects }, { uploads }] = await Promise.all([
    store.list(`staging/${batchId}/`),
    store.listUploads(`staging/${batchId}/`),
  ]);
  return [...objects, ...uploads].map(({ key }) => key);
}
const whenBegun = (batchId: string) =>
  until(async () => (await stagedOf(batchId)).length > 0, { within: WITHIN, what: 'the spool to be begun' });
const whenTidy = (batchId: string) =>
  until(async () => (await stagedOf(batchId)).length === 0, { within: WITHIN, what: 'staging to be empty' });

describe('an origin that can be read in one go only', () => {
  it.each(['each', 'batch'] as const)(
    'is asked once more when it breaks, and leaves no spool (commit: %s)',
    async (commit) => {
      await bench.serve();
      const { held, file, batchId } = await upload(commit);
      await whenBegun(batchId);
      held.drop();
      held.release();
      expect((await bench.work.whenDone(batchId)).successful).toEqual([file.assetId]);
      expect(held.requests()).toBe(2);
      expect((await buffer((await bench.api.store.get(file.s3Key)).body)).equals(film)).toBe(true);
      await whenTidy(batchId);
    },
  );

  it('is asked no more by a worker after the one that stopped once it was spooled', async () => {
    const reached = Promise.withResolvers<void>();
    const { store } = bench.api;
    // The copy is on its way for as long as this worker lives.
    const copy: typeof store.copy = (_from, _to, { park }) => {
      reached.resolve();
      return new Promise((_, reject) => park?.addEventListener('abort', () => reject(park.reason)));
    };
    await bench.serve({ store: { ...store, copy } });
    const { held, file, batchId, jobId } = await upload();
    held.release();
    await reached.promise;
    await bench.stopWorkers();
    // By its key reconciliation knows that a job works on it.
    expect((await stagedOf(batchId)).map(spoolingJob)).toEqual([jobId]);
    await bench.serve();
    expect((await bench.work.whenDone(batchId)).successful).toEqual([file.assetId]);
    expect(held.requests()).toBe(1);
    await whenTidy(batchId);
  });

  it.each(['cancelled', 'failed'])('leaves no spool when its file is %s', async (end) => {
    await bench.serve();
    const { held, batchId, jobId } = await upload();
    await whenBegun(batchId);
    if (end === 'cancelled') await bench.api.producer.cancelJob(jobId ?? '');
    else {
      held.cut(10);
      held.drop();
    }
    expect((await bench.work.whenDone(batchId)).failed).toHaveLength(1);
    await whenTidy(batchId);
  });

  it('leaves none in quarantine when the store spoils it', async () => {
    const { store } = bench.api;
    const put: typeof store.put = async (key, source, options) => {
      const stored = await store.put(key, source, options);
      if (!key.startsWith('staging/')) return stored;
      await store.quarantine(key);
      throw new AppError('CHECKSUM_MISMATCH', 'The store holds other bytes.', { details: { quarantined: true } });
    };
    await bench.serve({ store: { ...store, put } });
    const { held, batchId } = await upload();
    held.release();
    const { failed } = await bench.work.whenDone(batchId);
    expect(failed).toMatchObject([{ error: { code: 'CHECKSUM_MISMATCH' } }]);
    expect(failed[0]?.error.details).not.toHaveProperty('quarantined');
    const inQuarantine = async () => (await store.list(quarantineKey(`staging/${batchId}/`))).objects.length;
    await until(async () => (await inQuarantine()) === 0, { within: WITHIN, what: 'quarantine to be empty' });
  });
});
