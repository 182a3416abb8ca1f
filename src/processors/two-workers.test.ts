import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Metadata } from '#metadata/metadata.ts';
import { readJobFacts } from '#queues/job-facts.ts';
import { someFile } from '#test/pack-work.ts';
import { sha256 } from '#test/sources.ts';
import { openTcpProxy, type TcpProxy } from '#test/tcp-proxy.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import { startWorker } from './start.ts';

const MIB = 1024 ** 2;
let wire: TcpProxy;

const bench = await openWorkerBench();
beforeAll(async () => {
  wire = await openTcpProxy({ host: '127.0.0.1', port: bench.api.server.port });
});
afterAll(async () => {
  await wire.close();
});

it('a worker that Redis has fallen silent for stops by its own clock; what it does late changes nothing', async () => {
  const { api, work, origin } = bench;
  // The first worker, behind the wire, waits for an origin, is in the midst of a film whose next part it can note only
  // when it is too late, and has sent a commit that is delivered even later.
  const first = await bench.openParts({ ...api.server, url: `redis://127.0.0.1:${wire.port}` });
  const reached = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const late: Promise<unknown>[] = [];
  const commit: Metadata['commit'] = async (items) => {
    reached.resolve();
    await letGo.promise;
    const answer = api.metadata.commit(items);
    late.push(answer);
    return answer;
  };
  const worker = await startWorker({ ...first, metadata: { ...first.metadata, commit } }, first.config);
  const bytes = randomBytes(20 * MIB);
  const film = origin.hold(bytes, MIB);
  const large = someFile({ kind: 'url', url: film.url }, { size: bytes.length, checksum: sha256(bytes) });
  const slow = origin.hold(Buffer.from('slow'), 1);
  const held = someFile({ kind: 'url', url: slow.url }, { size: 4 });
  const { files: small } = await work.staged(['committed twice']);
  const { batchId, jobs } = await work.accept([
    { lane: 'large', files: [large] },
    { lane: 'small', files: small },
    { lane: 'small', files: [held] },
  ]);
  await Promise.all([film.read(), slow.read(), reached.promise]);
  wire.stall();
  film.release();
  await until(() => slow.readers() === 0, { within: 25_000, what: 'the first worker to stop' });
  slow.release();

  await bench.serve();
  expect(await work.whenDone(batchId)).toMatchObject({ total: 3, failed: [] });
  for (const { jobId } of jobs) await work.whenJob(jobId, 'completed');
  const facts = () => Promise.all(jobs.map(({ jobId, lane }) => readJobFacts(api.redis, 'worker', lane, jobId)));
  const before = await facts();
  letGo.resolve();
  await until(() => late.length > 0, { within: 10_000, what: 'the late commit' });
  await Promise.all(late);
  wire.mend();
  await worker.close();

  expect(await facts()).toEqual(before);
  for (const { assetId, s3Key, size, checksum } of [large, held, ...small]) {
    expect(await work.rowOf(assetId)).toMatchObject({ status: 'ready', size, ...(checksum && { checksum }) });
    expect(await api.store.head(s3Key)).toMatchObject({ size });
  }
  // All are of one scene and type: three commits, though four were made.
  const { assets } = await api.metadata.listAssets(work.request.entity, { history: true, limit: 10 });
  expect(assets.map(({ version }) => version)).toEqual([3, 2, 1]);
  await until(async () => (await api.store.listUploads('')).uploads.length === 0, {
    within: 10_000,
    what: 'no put to be open',
  });
});
