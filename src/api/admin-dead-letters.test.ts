import { Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeadLetterPage, LetterGroup, LettersPlanned, ReplayRun } from '#answers';
import { connectRedis } from '#redis/connection.ts';
import { startApi, type TestApi } from '#test/api.ts';
import { until } from '#test/until.ts';

const PATH = '/v1/admin/dead-letters';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
  const lane = api.producer.lanes.small;
  const reasons = [1, 2, 3].map((n) => `ORIGIN_NOT_FOUND: The file /films/${n}.mp4 is gone.`);
  await lane.addBulk(
    [...reasons, 'STORE_FULL: There is no room.'].map((reason, index) => ({
      ...{ name: 'upload', data: { reason }, opts: { jobId: `b_letters-${index}` } },
    })),
  );
  const connection = connectRedis(api.redisServer.url, 'worker', () => {});
  const fail = async ({ data }: { data: { reason: string } }) => {
    throw new Error(data.reason);
  };
  const worker = new Worker('small', fail, { connection, prefix: lane.opts.prefix ?? '' });
  await until(async () => (await lane.getFailedCount()) === 4, { within: 10_000, what: 'the jobs to fail' });
  await worker.close();
  connection.disconnect();
});
afterAll(() => api.close());

const asked = async <T>(method: string, path: string, body?: object, key?: string) => {
  const init = {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  };
  const headers = key === undefined ? undefined : { ...init.headers, authorization: `Bearer ${key}` };
  const answer = headers ? await fetch(api.url + path, { ...init, headers }) : await api.call(path, init);
  return { status: answer.status, body: (await answer.json()) as T };
};
const groups = async () => (await asked<{ groups: LetterGroup[] }>('GET', PATH)).body.groups;
const audited = async (jobId: string) => {
  const entries = await api.redis.xrange('test:audit', '-', '+');
  return entries.map(([, [, text]]) => JSON.parse(text ?? '{}')).filter(({ target }) => target === jobId);
};

describe('dead letters of the API', () => {
  it('are for admins of all projects', async () => {
    for (const fields of [{}, { scopes: ['admin'] as const, projects: ['p'] }]) {
      const key = await api.key(fields);
      expect((await asked('GET', PATH, undefined, key)).status).toBe(403);
      expect((await asked('POST', `${PATH}/replay`, { all: true }, key)).status).toBe(403);
      expect((await asked('DELETE', PATH, { all: true, reason: 'x' }, key)).status).toBe(403);
    }
  });

  it('are grouped by their reason, with what to do about it', async () => {
    expect(await groups()).toMatchObject([
      { code: 'ORIGIN_NOT_FOUND', job: 'upload', lanes: ['small'], count: 3, retryable: false },
      { code: 'STORE_FULL', count: 1, retryable: true, nextAction: expect.stringContaining('Free some') },
    ]);
  });

  it('are listed by group, in pages', async () => {
    const [{ fingerprint } = { fingerprint: '' }] = await groups();
    const page = async (query: string) =>
      (await asked<DeadLetterPage>('GET', `${PATH}?fingerprint=${fingerprint}${query}`)).body;
    const first = await page('&limit=2');
    const second = await page(`&limit=2&cursor=${first.next}`);
    const letters = [...first.deadLetters, ...second.deadLetters];
    expect(letters.map(({ jobId }) => jobId).toSorted()).toEqual(['b_letters-0', 'b_letters-1', 'b_letters-2']);
    expect(letters[0]).toMatchObject({
      ...{ lane: 'small', job: 'upload', failedAt: expect.any(Number) },
      error: { code: 'ORIGIN_NOT_FOUND', message: expect.stringMatching(/^The file \/films\/\d.mp4 is gone.$/) },
    });
  });

  it('are never all meant because something was left out', async () => {
    const reason = 'x';
    for (const body of [{}, { dryRun: true }, { all: true, olderThan: 1 }, { all: false }, { jobIds: [] }]) {
      expect((await asked('POST', `${PATH}/replay`, body)).status).toBe(400);
      expect((await asked('DELETE', PATH, { ...body, reason })).status).toBe(400);
    }
    expect((await asked('DELETE', PATH, { all: true })).body).toMatchObject({
      error: { details: { fields: [{ path: 'reason' }] } },
    });
    expect((await asked('POST', `${PATH}/replay`, { all: true, perSecond: 1_001 })).status).toBe(400);
  });

  it('are counted by a dry run, by each way to choose them', async () => {
    const [{ fingerprint } = { fingerprint: '' }] = await groups();
    const total = async (body: object) => {
      const answer = await asked<LettersPlanned>('POST', `${PATH}/replay`, { ...body, dryRun: true });
      expect([answer.status, answer.body.outcome]).toEqual([200, 'planned']);
      return answer.body.total;
    };
    expect(await total({ all: true })).toBe(4);
    expect(await total({ fingerprint })).toBe(3);
    expect(await total({ jobIds: ['b_letters-3', 'b_none-0'] })).toBe(1);
    expect(await total({ fingerprint, jobIds: ['b_letters-3'] })).toBe(0);
    expect(await total({ olderThan: 3_600 })).toBe(0);
    expect(await api.producer.lanes.maintenance.getJobCountByTypes('waiting')).toBe(0);
  });

  it('are replayed and discarded by jobs, which the audit knows before', async () => {
    const [{ fingerprint } = { fingerprint: '' }] = await groups();
    const { status, body: run } = await asked<ReplayRun>('POST', `${PATH}/replay`, { fingerprint, perSecond: 7 });
    expect(status).toBe(202);
    expect(run).toEqual({ jobId: run.jobId, state: 'waiting', total: 3, replayed: 0, skipped: 0, left: 3 });
    expect((await asked('GET', `${PATH}/replays/${run.jobId}`)).body).toEqual(run);
    expect((await asked('GET', `${PATH}/discards/${run.jobId}`)).status).toBe(404);
    const job = await api.producer.lanes.maintenance.getJob(run.jobId);
    expect(job).toMatchObject({ name: 'replay', data: { perSecond: 7, chosen: { fingerprint }, total: 3 } });
    const failedBy = job?.data.chosen.failedBy;
    expect(await audited(run.jobId)).toMatchObject([
      {
        ...{ actor: { kind: 'agent' }, action: 'dead-letters.replay' },
        details: { chosen: { fingerprint, failedBy }, perSecond: 7, count: 3, groups: [{ fingerprint, count: 3 }] },
      },
    ]);

    const reason = 'The campaign is over.';
    const discard = await asked<{ jobId: string }>('DELETE', PATH, { jobIds: ['b_letters-3'], reason });
    expect(discard).toMatchObject({ status: 202, body: { total: 1, discarded: 0, left: 1 } });
    expect(await audited(discard.body.jobId)).toMatchObject([
      { action: 'dead-letters.discard', details: { reason, chosen: { jobIds: ['b_letters-3'] }, count: 1 } },
    ]);
  });
});
