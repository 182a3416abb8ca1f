import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Accepted } from '#answers';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { type Deployment, openDeployment, type Process } from '#test/deployment.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { newApiKey } from './api-key.ts';

let server: TestRedis;
let redis: RedisConnection;
let deployment: Deployment;
let apis: [Process, Process];
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined);
  [deployment] = await Promise.all([openDeployment(server.url), whenConnected(redis, 10_000)]);
  apis = [await deployment.startApi(), await deployment.startApi()];
});
afterAll(async () => {
  redis.disconnect();
  await deployment.remove();
  await server.stop();
});

interface Answer {
  readonly status: number;
  readonly body: Accepted & { error?: { code: string; message: string } };
}

const file = (index: number, text: string) => ({
  ...{ assetType: 'source_code', filename: `${index}.py`, origin: { kind: 'inline', text } },
});
const body = (count: number, text = 'print(1)', scene = 'scene-1') => ({
  ...{ project: 'demo', session: 's-1', scene, files: Array.from({ length: count }, (_, index) => file(index, text)) },
});

async function send(
  api: Process,
  key: string,
  sent: unknown,
  path = '/v1/uploads',
  caller = deployment.agentKey,
): Promise<Answer> {
  const isForm = sent instanceof FormData;
  const response = await fetch(api.url + path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${caller}`,
      'idempotency-key': key,
      ...(isForm ? {} : { 'content-type': 'application/json' }),
    },
    body: isForm ? sent : JSON.stringify(sent),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const batchKeys = () => redis.keys('reelay:batch:*');

test('the same request 200 times at once, over two processes, is one batch', async () => {
  const before = (await batchKeys()).length;
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => send(apis[index % 2 === 0 ? 0 : 1], 'many', body(60))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  expect(new Set(answers.map(({ body }) => JSON.stringify(body.jobs))).size).toBe(1);
  expect(answers.filter(({ body }) => body.outcome === 'created')).toHaveLength(1);
  expect((await batchKeys()).length - before).toBe(1);
});

test('a key stands for one body, whatever the order of its fields', async () => {
  const first = await send(apis[0], 'one-body', body(1));
  const { project, ...rest } = body(1);
  const again = await send(apis[1], 'one-body', { ...rest, project });
  expect(again.body).toEqual({ ...first.body, outcome: 'duplicate' });
  const other = await send(apis[1], 'one-body', body(1, 'print(2)'));
  expect([other.status, other.body.error?.code]).toEqual([409, 'IDEMPOTENCY_MISMATCH']);
});

test('a key means nothing under another API key', async () => {
  const { key: other, record } = newApiKey(randomBytes, { name: 'other', scopes: ['assets:write'], createdAt: 0 });
  await deployment.metadata.putApiKey(record);
  const mine = await send(apis[0], 'mine', body(1));
  const theirs = await send(apis[0], 'mine', body(1, 'print(2)'), '/v1/uploads', other);
  expect(theirs.body.outcome).toBe('created');
  expect(theirs.body.batchId).not.toBe(mine.body.batchId);
});

test('a refused request leaves its key free for the corrected one', async () => {
  const wrong = { ...body(1), files: [{ ...file(0, 'print(1)'), size: 3 }] };
  expect((await send(apis[0], 'corrected', wrong)).body.error?.code).toBe('SIZE_MISMATCH');
  expect((await send(apis[0], 'corrected', body(1))).body.outcome).toBe('created');
});

test.each(['', 'a b', 'x'.repeat(256)])('%j is no key', async (key) => {
  const { status, body: answer } = await send(apis[0], key, body(1));
  expect([status, answer.error?.code]).toEqual([400, 'VALIDATION_FAILED']);
});

const form = (content: string) => {
  const data = new FormData();
  for (const [name, value] of Object.entries({ project: 'demo', session: 's-1', scene: 'f', assetType: 'thumbnail' }))
    data.append(name, value);
  data.append('file', new Blob([content]), 'a.png');
  return data;
};

test('a form sent twice is one batch, and its second bytes are not kept', async () => {
  const path = '/v1/uploads/files';
  const first = await send(apis[0], 'form', form('one'), path);
  const again = await send(apis[1], 'form', form('one'), path);
  expect(again.body).toEqual({ ...first.body, outcome: 'duplicate' });
  expect((await send(apis[1], 'form', form('two'), path)).body.error?.code).toBe('IDEMPOTENCY_MISMATCH');
  const jobs = await redis.keys('{reelay:small}:small:b_*');
  const origins = await Promise.all(jobs.map((job) => redis.hget(job, 'data')));
  expect(origins.filter((data) => data?.includes(`"${first.body.jobs[0]?.files[0]?.assetId}"`))).toHaveLength(1);
});

test('a process killed between claim and acceptance: the retry completes the batch, every file once', async () => {
  const sent = body(5_000, 'x'.repeat(1_000), 'killed');
  for (let round = 0; ; round += 1) {
    const key = `killed-${round}`;
    const doomed = await deployment.startApi();
    const lost = send(doomed, key, sent).catch(() => undefined);
    const names = await until(
      async () => {
        const found = await redis.keys(`reelay:idem:*${key}}`);
        return found.length > 0 && found;
      },
      { within: 20_000, what: 'the claim', every: 1 },
    );
    await doomed.kill();
    await lost;
    // Answered before it was killed: that was no hit, so it is tried again.
    if ((await redis.hget(names[0] ?? '', 'state')) !== 'claimed') continue;
    const retried = await send(apis[0], key, sent);
    expect([retried.status, retried.body.outcome]).toEqual([202, 'created']);
    const again = await send(apis[1], key, sent);
    expect(again.body).toEqual({ ...retried.body, outcome: 'duplicate' });
    const assetIds = retried.body.jobs.flatMap(({ files }) => files.map(({ assetId }) => assetId));
    expect(new Set(assetIds).size).toBe(5_000);
    const worker = await deployment.startWorker();
    const { batchId } = retried.body;
    const headers = { authorization: `Bearer ${deployment.agentKey}` };
    const done = await until(
      async () => {
        const batch = await (await fetch(`${apis[0].url}/v1/batches/${batchId}`, { headers })).json();
        return (batch as { state: string }).state === 'done' && (batch as { successful: string[]; failed: unknown[] });
      },
      { within: 60_000, what: 'the batch to be done' },
    );
    expect([done.successful.length, done.failed]).toEqual([5_000, []]);
    await worker.kill();
    return;
  }
}, 120_000);
