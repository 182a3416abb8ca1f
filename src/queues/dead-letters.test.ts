import { Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import type { ChosenLetters } from './catalog.ts';
import type { DeadLetter } from './dead-letter-page.ts';
import { createDeadLetters, type DeadLetters, type Place } from './dead-letters.ts';
import { createDiscards, type Discards } from './discards.ts';
import { readJobFacts } from './job-facts.ts';
import { closeLanes, jobKey, type Lanes, lanePrefix, openLanes } from './lanes.ts';
import { createPendingPacks } from './pending-packs.ts';

let server: TestRedis;
let redis: RedisConnection;
let prefix = '';
let lanes: Lanes;
let letters: DeadLetters;
let discards: Discards;
let tests = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** Lanes of their own, where each job fails as its data say. */
async function opened<T>(work: () => Promise<T>): Promise<T> {
  redis = connectRedis(server.url, 'worker', () => undefined);
  await whenConnected(redis, 10_000);
  prefix = `letters${++tests}`;
  lanes = openLanes(redis, prefix, () => undefined);
  letters = createDeadLetters(redis, prefix, lanes);
  discards = createDiscards(redis, prefix, { lanes, pending: createPendingPacks(redis, prefix) });
  return work().finally(async () => {
    await closeLanes(lanes);
    redis.disconnect();
  });
}

/** Has jobs of the lane fail, each with its own reason; gives their ids. */
async function failing(lane: 'small' | 'large' | 'maintenance', job: string, reasons: readonly string[]) {
  const base = await lanes[lane].getFailedCount();
  const worker = new Worker(
    lane,
    async ({ data }) => {
      throw new Error(data.reason);
    },
    { connection: redis, prefix: lanePrefix(prefix, lane), concurrency: 100 },
  );
  worker.on('error', () => undefined);
  const jobIds = reasons.map((_, index) => `${job}-${lane}-${base + index}`);
  await lanes[lane].addBulk(
    reasons.map((reason, index) => ({ name: job, data: { reason }, opts: { jobId: jobIds[index] ?? '' } })),
  );
  await until(async () => (await lanes[lane].getFailedCount()) === base + reasons.length, {
    within: 20_000,
    what: 'the jobs to fail',
  });
  await worker.close();
  return jobIds;
}

const now = (): ChosenLetters => ({ failedBy: Date.now() });
async function all(chosen: ChosenLetters, from?: Place): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  for await (const page of letters.pages(chosen, from)) found.push(...page.letters);
  return found;
}

describe('dead letters', () => {
  it('are grouped over all lanes by what their faults have in common', () =>
    opened(async () => {
      const before = Date.now();
      await failing('small', 'upload', [
        'ORIGIN_NOT_FOUND: The file /a/1.mp4 is gone.',
        'ORIGIN_NOT_FOUND: The file /b/22.mp4 is gone.',
        'STORE_REJECTED: The store refused the request.',
      ]);
      const [last] = await failing('large', 'upload', ['ORIGIN_NOT_FOUND: The file /c.mp4 is gone.']);
      await failing('maintenance', 'batch-end', ['something of no code']);
      const groups = await letters.groups(now());
      expect(groups.map(({ code, job, lanes, count }) => [code, job, lanes, count])).toEqual([
        ['ORIGIN_NOT_FOUND', 'upload', ['small', 'large'], 3],
        ['INTERNAL', 'batch-end', ['maintenance'], 1],
        ['STORE_REJECTED', 'upload', ['small'], 1],
      ]);
      const [gone] = groups;
      expect(gone?.example).toEqual({ jobId: last, message: 'The file /c.mp4 is gone.' });
      expect(gone?.bytes).toBeGreaterThan(3 * 200);
      expect(gone?.firstSeen).toBeGreaterThanOrEqual(before);
      expect(gone?.lastSeen).toBeGreaterThanOrEqual(gone?.firstSeen ?? Number.NaN);
    }));

  it('are chosen by group, ids and time, all of them together', () =>
    opened(async () => {
      const [one = '', two = ''] = await failing('small', 'upload', [
        'STORE_FULL: a',
        'STORE_FULL: a',
        'STORE_FULL: b',
      ]);
      const failedBy = Date.now();
      await until(() => Date.now() > failedBy, { within: 1_000, what: 'a later time' });
      const [later = ''] = await failing('large', 'upload', ['STORE_FULL: a']);
      const { fingerprint } = (await letters.groups(now()))[0] ?? { fingerprint: '' };
      const ids = async (chosen: ChosenLetters) => (await all(chosen)).map(({ jobId }) => jobId).toSorted();
      expect(await ids({ ...now(), fingerprint })).toEqual([one, two, later].toSorted());
      expect(await ids({ failedBy, fingerprint })).toEqual([one, two]);
      expect(await ids({ ...now(), jobIds: [later, 'none', one] })).toEqual([later, one].toSorted());
      expect(await ids({ failedBy, fingerprint, jobIds: [later, two] })).toEqual([two]);
    }));

  it('are walked page by page without one missed, while some leave and others come', () =>
    opened(async () => {
      const count = 2_300;
      await failing('small', 'upload', Array(count).fill('STORE_FULL: x'));
      const chosen = now();
      const seen = new Set<string>();
      let place: Place | undefined;
      for await (const page of letters.pages(chosen)) {
        for (const { jobId } of page.letters) seen.add(jobId);
        // The page itself, and what is oldest of all.
        const oldest = await redis.zrange(`${lanePrefix(prefix, 'small')}:small:failed`, '0', '9');
        for (const jobId of oldest) seen.add(jobId);
        await redis.zrem(`${lanePrefix(prefix, 'small')}:small:failed`, ...oldest);
        await letters.replay(page.letters.slice(0, 500), chosen.failedBy);
        place = page.next;
        break;
      }
      await redis.zadd(`${lanePrefix(prefix, 'small')}:small:failed`, Date.now() + 1_000, 'new');
      for (const { jobId } of await all(chosen, place)) seen.add(jobId);
      expect(seen.size).toBe(count);
    }));

  it('are listed newest first, in pages over all lanes', () =>
    opened(async () => {
      const small = await failing('small', 'upload', [
        'STORE_FULL: x',
        'STORE_FULL: x',
        'STORE_FULL: x',
        'INTERNAL: y',
      ]);
      const large = await failing('large', 'upload', ['STORE_FULL: x']);
      const chosen = { ...now(), fingerprint: (await letters.groups(now()))[0]?.fingerprint };
      const listed: string[] = [];
      const sizes: number[] = [];
      let from: Place | undefined;
      do {
        const page = await letters.list(chosen, { limit: 2, from });
        listed.push(...page.letters.map(({ jobId }) => jobId));
        sizes.push(page.letters.length);
        from = page.next;
      } while (from);
      expect(listed.toSorted()).toEqual([...small.slice(0, 3), ...large].toSorted());
      expect(sizes.every((size) => size <= 2)).toBe(true);
    }));

  it('are replayed once, with all their attempts, and not when they failed anew', () =>
    opened(async () => {
      const [jobId = ''] = await failing('small', 'upload', ['STORE_FULL: x', 'STORE_FULL: y']);
      const chosen = now();
      const found = await all(chosen);
      const [first] = found.filter((letter) => letter.jobId === jobId);
      if (!first) throw new Error('There is no dead letter.');
      expect(await letters.replay([first], chosen.failedBy)).toBe(1);
      const job = await lanes.small.getJob(jobId);
      expect([job?.attemptsMade, job?.failedReason]).toEqual([0, undefined]);
      expect(await letters.replay([first], chosen.failedBy)).toBe(0);
      expect(await lanes.small.getJobState(jobId)).toBe('waiting');
      expect(await letters.replay(found, chosen.failedBy - 60_000)).toBe(0);
    }));
});

describe('a discard', () => {
  it('takes a dead letter and all that is kept of it, in steps that a crash can come between', () =>
    opened(async () => {
      const [jobId = ''] = await failing('small', 'upload', ['STORE_FULL: x']);
      await redis.hset(`${jobKey(prefix, 'small', jobId)}:facts`, 'over', '1');
      const chosen = now();
      const found = await all(chosen);
      expect(await discards.claim(found, chosen.failedBy - 60_000)).toBe(0);
      expect(await discards.claim(found, chosen.failedBy)).toBe(1);
      expect(await discards.claim(found, chosen.failedBy)).toBe(0);
      expect(await letters.replay(found, chosen.failedBy)).toBe(0);
      expect(await all(now())).toEqual([]);
      expect(await discards.claimed()).toEqual([{ lane: 'small', jobId }]);
      const one = await discards.read({ lane: 'small', jobId });
      expect(one).toMatchObject({ jobId, job: 'upload', data: { reason: 'STORE_FULL: x' }, facts: { over: '1' } });
      await discards.forget(one);
      expect(await lanes.small.getJob(jobId)).toBeUndefined();
      expect(await readJobFacts(redis, prefix, 'small', jobId)).toEqual({});
      expect(await discards.claimed()).toEqual([]);
    }));

  it('leaves alone what was replayed before it', () =>
    opened(async () => {
      const [jobId = ''] = await failing('small', 'upload', ['STORE_FULL: x']);
      const chosen = now();
      const found = await all(chosen);
      await letters.replay(found, chosen.failedBy);
      expect(await discards.claim(found, chosen.failedBy)).toBe(0);
      expect(await lanes.small.getJobState(jobId)).toBe('waiting');
    }));
});
