import { expect, it } from 'vitest';
import { quarantineKey } from '#storage/keys.ts';
import { openWorkerBench } from '#test/worker-bench.ts';
import { Interrupted } from './run.ts';

const bench = await openWorkerBench();

/** The same port, whose functions do what they do, and are then interrupted, as by a crash: each of them once. */
function interruptedOnce<Port extends object>(port: Port, names: readonly (keyof Port)[], seen: PropertyKey[]): Port {
  const wrapped = names.map((name) => {
    const own = port[name] as (...args: unknown[]) => Promise<unknown>;
    let done = false;
    const once = async (...args: unknown[]) => {
      const answer = await own(...args);
      if (done) return answer;
      done = true;
      seen.push(name);
      throw new Interrupted('lost');
    };
    return [name, once];
  });
  return { ...port, ...Object.fromEntries(wrapped) };
}

it('a failure that is tidied up, and its replay, can be interrupted after each of their steps', async () => {
  const { api, work } = bench;
  const revoke = (revokedAt: number | undefined) =>
    api.metadata.putApiKey({
      ...{ keyId: 'key', secretHash: 'ab'.repeat(32), name: 'a key', scopes: ['assets:write'], createdAt: 0 },
      ...(revokedAt === undefined ? {} : { revokedAt }),
    });
  await revoke(1);
  const { files, key } = await work.staged(['kept whole']);
  const [{ assetId, s3Key, checksum } = { assetId: '', s3Key: '' }] = files;
  const { batchId, jobs } = await work.accept([{ lane: 'small', files }]);
  const jobId = jobs[0]?.jobId ?? '';

  const seen: PropertyKey[] = [];
  await bench.serve({
    store: interruptedOnce(api.store, ['abandon', 'quarantine'], seen),
    metadata: interruptedOnce(api.metadata, ['getAssets', 'putQuarantined'], seen),
    audit: interruptedOnce(api.audit, ['record'], seen),
  });
  expect(await work.whenJob(jobId, 'failed')).toMatchObject({ error: { code: 'FORBIDDEN' } });
  expect(seen).toEqual(['abandon', 'getAssets', 'quarantine', 'putQuarantined', 'record']);
  expect((await api.metadata.listQuarantined({ limit: 10 })).objects).toMatchObject([{ s3Key, assetId }]);
  expect(await api.store.head(s3Key)).toBeUndefined();
  expect((await work.whenDone(batchId)).failed).toMatchObject([{ assetId, error: { code: 'FORBIDDEN' } }]);
  expect((await work.whenRow(assetId, 'error')).error?.code).toBe('FORBIDDEN');
  await bench.stopWorkers();

  await revoke(undefined);
  await api.store.deleteMany([key]);
  await (await api.producer.lanes.small.getJob(jobId))?.retry('failed', { resetAttemptsMade: true });
  const again: PropertyKey[] = [];
  await bench.serve({
    store: interruptedOnce(api.store, ['copy', 'deleteMany'], again),
    metadata: interruptedOnce(api.metadata, ['removeQuarantined'], again),
  });
  expect(await work.whenRow(assetId, 'ready')).toMatchObject({ checksum });
  await work.whenJob(jobId, 'completed');
  expect(again).toEqual(['copy', 'removeQuarantined', 'deleteMany']);
  expect(await api.store.head(s3Key)).toBeDefined();
  expect(await api.store.head(quarantineKey(s3Key))).toBeUndefined();
  expect((await api.metadata.listQuarantined({ limit: 10 })).objects).toEqual([]);
  expect((await work.whenDone(batchId)).failed).toEqual([]);
});
