import { beforeAll, describe, expect, it } from 'vitest';
import { createFollowUps, type FollowUps } from '#queues/follow-ups.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import { until } from '#test/until.ts';
import { openWorkerBench } from '#test/worker-bench.ts';

let followUps: FollowUps;

const bench = await openWorkerBench();
const { api } = bench;
beforeAll(async () => {
  followUps = createFollowUps(api.producer.lanes, createPendingPacks(api.redis, 'worker'));
});

const totals = async () => {
  const { sessions } = await api.metadata.scanSessions({ limit: 10 });
  return sessions.find(({ project, session }) => project === 'p' && session === 's');
};

describe('recounts', () => {
  it('bring the totals of a session up to date once a batch has ended', async () => {
    await bench.serve();
    const { files } = await bench.work.staged(['first', 'second']);
    const { batchId } = await bench.work.accept(files.map((file) => ({ lane: 'small', files: [file] })));
    await bench.work.whenDone(batchId);
    // Two scripts of one type: the second is what the scene shows.
    const size = await until(async () => (await totals())?.size || undefined, { within: 15_000, what: 'the totals' });
    const current = await api.metadata.listAssets(bench.work.request.entity, { limit: 10 });
    expect(await totals()).toMatchObject({ count: 1, size: current.assets[0]?.size });
    expect([5, 6]).toContain(size);
  });

  it('of one session wait as one, and another follows one at work', async () => {
    const { maintenance } = api.producer.lanes;
    const recounts = async () => {
      const jobs = await maintenance.getJobs(['delayed', 'active', 'waiting']);
      return jobs.filter(({ name }) => name === 'recount').map(({ data }) => data.session);
    };
    await followUps.recount('p', 'one');
    await followUps.recount('p', 'one');
    await followUps.recount('p', 'two');
    expect((await recounts()).toSorted()).toEqual(['one', 'two']);

    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let counted = 0;
    const countSession: typeof api.metadata.countSession = async (_project, session) => {
      if (session === 'one') {
        counted += 1;
        begun.resolve();
        await goOn.promise;
      }
      return { size: 0, count: 0 };
    };
    await bench.serve({ metadata: { ...api.metadata, countSession } });
    await begun.promise;
    await followUps.recount('p', 'one');
    await followUps.recount('p', 'one');
    goOn.resolve();
    await until(async () => (await recounts()).length === 0, { within: 15_000, what: 'all recounts to be over' });
    expect(counted).toBe(2);
  });
});
