import { Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis } from '#redis/connection.ts';
import { startApi, type TestApi } from '#test/api.ts';
import { until } from '#test/until.ts';

const JOB = 'b_board-0';
const SECRET = 'tell-tale';

let api: TestApi;

/** A job that fails in all its attempts, and says what it should not in data, error, stack, progress and logs. */
beforeAll(async () => {
  api = await startApi();
  const { small } = api.producer.lanes;
  const connection = connectRedis(api.redisServer.url, 'worker', () => {});
  const worker = new Worker(
    'small',
    async (job) => {
      await job.log(`Authorization: Bearer ${SECRET}`);
      await job.updateProgress({ token: SECRET, done: 1 });
      throw new Error(`STORE_REJECTED: redis://ada:${SECRET}@redis.example is no store`);
    },
    { connection, prefix: small.opts.prefix ?? '' },
  );
  const origin = { kind: 'url', url: `https://a.example/f.mp4?signature=${SECRET}` };
  await small.add('upload', { files: [{ origin, metadata: { who: SECRET } }] }, { jobId: JOB, attempts: 2 });
  await until(async () => (await small.getFailedCount()) === 1, { within: 10_000, what: 'the job to fail' });
  await worker.close();
  connection.disconnect();
});
afterAll(() => api.close());

async function ask(path: string, init: RequestInit = {}) {
  const { user, password } = api.admin;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const answer = await fetch(`${api.url}/admin/queues${path}`, {
    ...init,
    headers: { authorization, ...init.headers },
  });
  return { status: answer.status, text: await answer.text() };
}
const write = (method: string, path: string, headers: Record<string, string> = {}, body?: object) =>
  ask(path, {
    method,
    headers: { origin: api.url, 'content-type': 'application/json', ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });

describe('the board', () => {
  it.each([
    ['the list', '/api/queues?activeQueue=small&status=failed&page=1', '?[hidden]'],
    ['a job', `/api/queues/small/${JOB}`, 'redis://[hidden]@redis.example is no store'],
    ['its logs', `/api/queues/small/${JOB}/logs`, 'Authorization: [hidden]'],
    ['its flow', `/api/queues/small/${JOB}/flow`, JOB],
  ])('shows no secret in %s', async (_what, path, shown) => {
    const { status, text } = await ask(path);
    expect([status, text.includes(SECRET), text.includes(shown)], text).toEqual([200, false, true]);
  });

  it('takes no edits, nor removals', async () => {
    const path = `/api/queues/small/${JOB}`;
    for (const [method, deed, body] of [
      ['PATCH', 'update-data', { jobData: {} }],
      ['PATCH', 'priority', { priority: 1 }],
      ['PATCH', 'delay', { delay: 1 }],
      ['PUT', 'clean', {}],
    ] as const)
      expect((await write(method, `${path}/${deed}`, {}, body)).status, deed).toBe(403);
    for (const [method, deed] of [
      ['POST', 'small/add'],
      ['PUT', 'small/retry/failed'],
      ['PUT', 'small/concurrency'],
      ['PUT', 'small/job-schedulers/x/remove'],
    ] as const)
      expect((await write(method, `/api/queues/${deed}`, {}, {})).status, deed).toBe(403);
    expect((await api.producer.lanes.small.getJob(JOB))?.data.files[0].metadata).toEqual({ who: SECRET });
  });

  it('changes nothing for pages of others', async () => {
    const retry = `/api/queues/small/${JOB}/retry`;
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: '' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
    ])
      expect((await write('PUT', retry, headers)).status, JSON.stringify(headers)).toBe(403);
    const { user, password } = api.admin;
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    const bare = await fetch(`${api.url}/admin/queues${retry}`, { method: 'PUT', headers: { authorization } });
    expect(bare.status).toBe(403);
    expect(await api.producer.lanes.small.getJobState(JOB)).toBe('failed');
  });

  it('replays a failed job with all its attempts', async () => {
    const answer = await write('PUT', `/api/queues/small/${JOB}/retry`, { 'sec-fetch-site': 'same-origin' });
    expect(answer.status).toBe(204);
    const job = await api.producer.lanes.small.getJob(JOB);
    expect([await job?.getState(), job?.attemptsMade]).toEqual(['waiting', 0]);
  });

  it('says in our codes what went wrong', async () => {
    await api.redisServer.kill();
    const { status, text } = await ask(`/api/queues/small/${JOB}`);
    expect([status, JSON.parse(text)]).toMatchObject([500, { error: expect.stringMatching(/^[A-Z_]+: /) }]);
    await api.redisServer.start();
  });
});
