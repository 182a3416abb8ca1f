import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorOf } from '#test/error-of.ts';
import { type StandInApi, startStandInApi } from '#test/stand-in-api.ts';
import { createClient, type Job } from './client.ts';

const SCENE = { project: 'demo', session: 's1', scene: 'c1' } as const;

let api: StandInApi;
const client = () =>
  createClient({ apiUrl: api.url, key: api.key, pause: async (_, signal) => signal?.throwIfAborted() });

beforeAll(async () => {
  api = await startStandInApi();
});
afterAll(() => api.close());

const asset = (assetId: string, status: string) => ({
  ...{ assetId, status, progress: 0, current: false, filename: 'a.py', assetType: 'source_code' },
  ...{ project: 'demo', session: 's1', visibility: 'private', contentType: 'text/x-python', s3Key: assetId },
  ...{ attempt: 0, maxAttempts: 3, renditions: { status: 'none' }, metadata: {} },
  ...{ batchId: 'b_1', correlationId: 'c_1', createdAt: 1 },
});
const job = (state: Job['state'], progress: number): Job => ({
  ...{ jobId: 'b_1-0', batchId: 'b_1', project: 'demo', lane: 'small' },
  ...{ state, progress, attempts: 1, maxAttempts: 3, files: [] },
});
const event = (data: unknown) => `event: job\ndata: ${JSON.stringify(data)}\n\n`;
const EVENTS = { 'content-type': 'text/event-stream' };

async function all<T>(changes: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const change of changes) seen.push(change);
  return seen;
}

test('an asset is seen at each change, to its end', async () => {
  for (const status of ['pending', 'pending', 'uploading', 'ready']) {
    api.answerOnce('/v1/assets/a_1', 200, {}, asset('a_1', status));
  }
  const seen = await all(client().watch({ assetId: 'a_1' }));
  expect(seen.map(({ status }) => status)).toEqual(['pending', 'uploading', 'ready']);
});

test('a scene gives each asset that is new or changed, over pages, until its signal', async () => {
  const list = '/v1/projects/demo/sessions/s1/scenes/c1/assets';
  api.answerOnce(list, 200, {}, { assets: [asset('a_1', 'pending')], next: 'p2' });
  api.answerOnce(list, 200, {}, { assets: [asset('a_2', 'ready')] });
  api.answerOnce(list, 200, {}, { assets: [asset('a_1', 'ready'), asset('a_2', 'ready')] });
  const abort = new AbortController();
  const seen: string[] = [];
  const watching = async () => {
    for await (const { assetId, status } of client().watch(SCENE, { history: true, signal: abort.signal })) {
      seen.push(`${assetId} ${status}`);
      if (seen.length === 3) abort.abort(new Error('enough'));
    }
  };
  await expect(watching()).rejects.toThrow('enough');
  expect(seen).toEqual(['a_1 pending', 'a_2 ready', 'a_1 ready']);
  expect(api.requests).toContain(`GET ${list}?history=1&cursor=p2&limit=1000`);
});

test('a job is seen by its events, and asked for when they break off', async () => {
  const whole = [': hello\n\n', event(job('active', 0.5)), event(job('active', 0.5)), event(job('completed', 1))];
  api.answerOnce('/v1/jobs/b_1-0/events', 200, EVENTS, whole.join(''));
  const before = api.requests.length;
  const seen = await all(client().watch({ jobId: 'b_1-0' }));
  expect(seen.map(({ state, progress }) => [state, progress])).toEqual([
    ['active', 0.5],
    ['completed', 1],
  ]);
  expect(api.requests.slice(before)).toEqual(['GET /v1/jobs/b_1-0/events']);

  api.answerOnce('/v1/jobs/b_1-0/events', 200, EVENTS, event(job('active', 0.5)));
  for (const state of ['active', 'failed'] as const) api.answerOnce('/v1/jobs/b_1-0', 200, {}, job(state, 0.5));
  const rest = await all(client().watch({ jobId: 'b_1-0' }));
  expect(rest.map(({ state }) => state)).toEqual(['active', 'failed']);
});

test('what is not there is an error', async () => {
  for (const target of [{ jobId: 'b_none-0' }, { batchId: 'b_none' }, { assetId: 'a_none' }]) {
    expect(await errorOf(all<unknown>(client().watch(target)))).toMatchObject({ code: 'NOT_FOUND' });
  }
});

test('a job is cancelled', async () => {
  expect(await client().cancelJob('b_1-0')).toMatchObject({ jobId: 'b_1-0' });
  api.answerOnce('/v1/jobs/b_1-0', 409, {}, { error: conflict });
  expect(await errorOf(client().cancelJob('b_1-0'))).toMatchObject({ code: 'CONFLICT' });
});

const conflict = { code: 'CONFLICT', message: 'It is committed.', retryable: false, nextAction: 'Delete the asset.' };
