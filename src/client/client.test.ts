import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorOf } from '#test/error-of.ts';
import { type StandInApi, startStandInApi } from '#test/stand-in-api.ts';
import { type ClientOptions, createClient, type ReelayError } from './client.ts';

const SCENE = { project: 'demo', session: 's1', scene: 'c1' } as const;
const CLIP = { ...SCENE, assetType: 'video_chunk', filename: 'clip.mp4' } as const;

let api: StandInApi;
/** Waits that would have passed, on a clock of their own. */
const waits: number[] = [];
let now = 0;
const pause = async (milliseconds: number, signal?: AbortSignal) => {
  waits.push(milliseconds);
  now += milliseconds;
  signal?.throwIfAborted();
};
const client = (options: Partial<ClientOptions> = {}) =>
  createClient({ apiUrl: api.url, key: api.key, pause, clock: () => now, random: () => 0, ...options });

beforeAll(async () => {
  api = await startStandInApi();
});
afterAll(() => api.close());

describe('uploads', () => {
  const files = [{ assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'pass' } }] as const;

  test('as JSON are tried again under one key, and answered once', async () => {
    api.answerOnce('/v1/uploads', 503, { 'retry-after': '5' }, { error: away });
    api.loseAnswerOnce('/v1/uploads');
    const before = api.received.length;
    waits.length = 0;
    const { jobs, outcome } = await client().uploadFiles({ ...SCENE, files });
    expect(outcome).toBe('duplicate');
    expect(waits).toEqual([5_000, 400]);
    expect(api.received.length).toBe(before + 1);
    expect(jobs[0]?.files).toEqual([{ assetId: api.received.at(-1)?.assetId, filename: 'a.py' }]);
    expect(api.received.at(-1)).toMatchObject({ checksum: sha256('pass'), fields: SCENE });
  });

  test('of bytes are too, as one', async () => {
    for (const content of [{ bytes: Buffer.from('x') }, { blob: new Blob(['x']) }, { open: () => chunks('x') }]) {
      api.loseAnswerOnce('/v1/uploads/files');
      const before = api.received.length;
      expect((await client().uploadFile({ ...CLIP, ...content })).outcome).toBe('duplicate');
      expect(api.received.slice(before)).toMatchObject([{ size: 1, checksum: sha256('x') }]);
    }
  });

  test('of a stream are not, once it was read', async () => {
    api.loseAnswerOnce('/v1/uploads/files');
    const before = api.requests.length;
    const error = await errorOf(client().uploadFile({ ...CLIP, stream: chunks('x') }));
    expect([error.code, api.requests.length]).toEqual(['UNREACHABLE', before + 1]);
  });

  test('under the same key of the caller are duplicates, of other bytes a mismatch', async () => {
    const call = { idempotencyKey: 'clip-1' };
    const first = await client().uploadFile({ ...CLIP, bytes: Buffer.from('one') }, call);
    const again = await client().uploadFile({ ...CLIP, bytes: Buffer.from('one') }, call);
    expect(again).toEqual({ ...first, outcome: 'duplicate' });
    const other = await errorOf(client().uploadFile({ ...CLIP, bytes: Buffer.from('two') }, call));
    expect(other).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH', status: 409, retryable: false });
  });

  test('carry metadata, and can be planned only', async () => {
    await client().uploadFile({ ...CLIP, bytes: Buffer.from('x'), metadata: { take: 3 } });
    expect(api.received.at(-1)?.fields).toMatchObject({ metadata: '{"take":3}' });
    const before = api.received.length;
    const planned = await client().dryRun({ ...SCENE, files });
    expect(planned).toEqual({ outcome: 'planned', jobs: [{ lane: 'small', size: 4, files: [{ filename: 'a.py' }] }] });
    expect(api.received.length).toBe(before);
  });
});

describe('reads', () => {
  test('are tried again no sooner than Retry-After says, and not all callers at once', async () => {
    waits.length = 0;
    api.answerOnce('/v1/jobs', 503, { 'retry-after': '7' }, { error: away });
    api.answerOnce('/v1/jobs', 429, {}, { error: { ...away, code: 'RATE_LIMITED' } });
    expect(await client({ random: () => 1 }).listJobs()).toEqual([]);
    expect(waits).toEqual([8_750, 500]);
  });

  test('understand a Retry-After that is a date', async () => {
    const refused = async (retryAfter: string) => {
      api.answerOnce('/v1/jobs', 503, { 'retry-after': retryAfter }, { error: away });
      return (await errorOf(client().listJobs({ retryForMs: 0 }))).retryAfterSeconds;
    };
    expect(await refused(new Date(Date.now() + 3_600_000).toUTCString())).toBeGreaterThan(3_000);
    expect(await refused(new Date(0).toUTCString())).toBe(0);
    expect(await refused('soon')).toBeUndefined();
  });

  test('give up after their time, at once when they would wait longer, and when a retry cannot help', async () => {
    waits.length = 0;
    const seen: string[] = [];
    const onRetry = ({ code }: ReelayError, wait: number) => seen.push(`${code} ${wait}`);
    for (let i = 0; i < 4; i++) api.answerOnce('/v1/jobs', 503, {}, { error: away });
    const impatient = client({ retryForMs: 1_500, onRetry });
    expect(await errorOf(impatient.listJobs())).toMatchObject({ code: 'QUEUE_UNAVAILABLE', status: 503 });
    expect(waits).toEqual([200, 400, 800]);
    expect(seen.at(-1)).toBe('QUEUE_UNAVAILABLE 800');
    api.answerOnce('/v1/jobs', 429, { 'retry-after': '3600' }, { error: { ...away, code: 'RATE_LIMITED' } });
    expect(await errorOf(client().listJobs())).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 3600 });
    api.answerOnce('/v1/jobs', 503, {}, { error: away });
    expect(await errorOf(client().listJobs({ retryForMs: 0 }))).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(await errorOf(client().getAsset('a_none'))).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    expect(waits).toHaveLength(3);
  });

  test('tell an API that is not ready from one that is broken', async () => {
    expect(await client().health()).toEqual({ ready: true, degraded: ['metadata'], missing: [] });
    api.answerOnce('/health/ready', 503, { 'retry-after': '2' }, { ready: false, missing: ['worker'] });
    expect(await client().health()).toEqual({ ready: false, degraded: [], missing: ['worker'] });
  });

  test('answer typed, without fields they do not know', async () => {
    const { batchId, jobs } = await client().uploadFile({ ...CLIP, bytes: Buffer.from('x') });
    const assetId = jobs[0]?.files[0]?.assetId ?? '';
    expect(await client().getAsset(assetId)).toEqual({
      ...{
        assetId,
        project: 'demo',
        session: 's1',
        assetType: 'video_chunk',
        filename: 'clip.mp4',
        status: 'ready',
        progress: 1,
        current: true,
      },
      ...{ visibility: 'private', version: api.received.length, size: 1, contentType: 'video/mp4' },
      checksum: sha256('x'),
      ...{ attempt: 1, maxAttempts: 3, s3Key: `projects/demo/${assetId}`, renditions: { status: 'none' } },
      ...{ metadata: {}, batchId, correlationId: 'c_1', createdAt: 1 },
    });
    expect(await client().getJob(`${batchId}-0`)).toMatchObject({ state: 'completed', attempts: 1 });
    expect((await client().listJobs({ state: 'completed', limit: 5 })).map((job) => job.jobId)).toContain(
      `${batchId}-0`,
    );
    expect(api.requests.at(-1)).toBe('GET /v1/jobs?state=completed&limit=5');
    expect(await client().getAssetUrl(assetId, { download: true, type: 'public' })).toEqual({
      ...{ url: 'https://cdn.example/clip.mp4?download=1&type=public', expiresAt: 2, servedFrom: 'convex' },
    });
    expect(await text(await client().download(assetId))).toBe('the bytes');
  });

  test('escape ids and name the entity of a list', async () => {
    const page = { assets: [] };
    api.answerOnce('/v1/projects/', 200, {}, page);
    expect(await client().listAssets({ project: 'a/b', session: 's 1' })).toEqual({ assets: [] });
    expect(api.requests.at(-1)).toBe('GET /v1/projects/a%2Fb/sessions/s%201/assets');
    api.answerOnce('/v1/projects/', 200, {}, page);
    await client().listAssets(SCENE, { assetType: 'subtitle', history: true });
    expect(api.requests.at(-1)).toBe('GET /v1/projects/demo/sessions/s1/scenes/c1/assets?type=subtitle&history=1');
  });

  test('look up many URLs at once, each with its own failure', async () => {
    const found = { assetId: 'a_1', url: 'https://cdn.example/1', expiresAt: 5, servedFrom: 'memory' };
    const { code, message, retryable, nextAction, details } = { ...away, code: 'NOT_FOUND' };
    const missing = { assetId: 'a_2', error: { code, message, retryable, nextAction, details, correlationId: 'c_1' } };
    api.answerOnce('/v1/assets/urls', 200, {}, { urls: [found, missing] });
    expect(await client().getAssetUrls(['a_1', 'a_2'])).toEqual([found, missing]);
  });

  test('say what answered when it was not Reelay', async () => {
    api.answerOnce('/health/ready', 200, {}, '<html>');
    const error = await errorOf(client().health());
    expect(error).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 200, details: { body: '<html>' } });
    api.answerOnce('/health/ready', 404, {}, '<html>');
    expect(await errorOf(client().health())).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 404 });
  });
});

describe('waitForBatch', () => {
  test('polls ever slower until done, and shows each change once', async () => {
    const { batchId } = await client().uploadFile({ ...CLIP, filename: 'corrupt.mp4', bytes: Buffer.from('x') });
    for (let i = 0; i < 6; i++) {
      const counts = { total: 1, successful: [], failed: [], size: 1, createdAt: 1 };
      const running = { batchId, project: 'demo', owner: 'k_1', state: 'accepted', ...counts };
      api.answerOnce(`/v1/batches/${batchId}`, 200, {}, running);
    }
    waits.length = 0;
    const states: string[] = [];
    const batch = await client().waitForBatch(batchId, { onUpdate: ({ state }) => states.push(state) });
    expect(batch.failed).toMatchObject([{ error: { code: 'STORE_REJECTED', nextAction: 'Read what it said.' } }]);
    expect(states).toEqual(['accepted', 'running', 'done']);
    expect(waits).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
  });

  test('outlasts an API that is away for a while, but not one that is gone', async () => {
    const { batchId } = await client().uploadFile({ ...CLIP, bytes: Buffer.from('x') });
    for (let i = 0; i < 12; i++) api.answerOnce(`/v1/batches/${batchId}`, 503, {}, { error: away });
    expect(await client().waitForBatch(batchId)).toMatchObject({ state: 'done' });
    for (let i = 0; i < 100; i++) api.answerOnce(`/v1/batches/b_gone`, 503, {}, { error: away });
    expect((await errorOf(client().waitForBatch('b_gone'))).code).toBe('QUEUE_UNAVAILABLE');
  });

  test('stops at its signal', async () => {
    const abort = new AbortController();
    const { batchId } = await client().uploadFile({ ...CLIP, bytes: Buffer.from('x') });
    const reason = new Error('enough');
    const onUpdate = () => abort.abort(reason);
    await expect(client().waitForBatch(batchId, { signal: abort.signal, onUpdate })).rejects.toBe(reason);
  });
});

test('an API that is not there is named, with what to do', async () => {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const apiUrl = `http://127.0.0.1:${(free.address() as AddressInfo).port}`;
  await new Promise((resolve) => free.close(resolve));
  const error = await errorOf(client({ apiUrl }).uploadFile({ ...CLIP, bytes: Buffer.from('x') }));
  expect(error).toMatchObject({ code: 'UNREACHABLE', retryable: true, status: undefined });
  expect(error.message).toBe(`${apiUrl} cannot be reached (ECONNREFUSED).`);
  expect(error.nextAction).toContain('npm run up');
});

test('an aborted read rejects with its reason', async () => {
  const reason = new Error('enough');
  await expect(client().health({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

const away = {
  code: 'QUEUE_UNAVAILABLE',
  message: 'Redis is away.',
  retryable: true,
  nextAction: 'Send the request again after Retry-After.',
  details: {},
};

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

function sha256(bytes: string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
