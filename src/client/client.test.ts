import { createHash } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type StandInApi, startStandInApi } from '#test/stand-in-api.ts';
import { createClient, ReelayError } from './client.ts';

const SCENE = { project: 'demo', session: 's1', scene: 'c1' } as const;
const CLIP = { ...SCENE, assetType: 'video_chunk', filename: 'clip.mp4' } as const;

let api: StandInApi;
let dir: string;
const waits: number[] = [];
const pause = async (milliseconds: number, signal?: AbortSignal) => {
  waits.push(milliseconds);
  signal?.throwIfAborted();
};
const client = (options: { apiUrl?: string; key?: string } = {}) =>
  createClient({ apiUrl: api.url, key: api.key, pause, ...options });

/** The ReelayError a call rejects with. */
async function errorOf(call: Promise<unknown>): Promise<ReelayError> {
  const thrown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(ReelayError);
  return thrown as ReelayError;
}

beforeAll(async () => {
  api = await startStandInApi();
  dir = await mkdtemp(join(tmpdir(), 'reelay-client-'));
});
afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

describe('uploadFile', () => {
  test('sends a path with its fields, type and exact name', async () => {
    const path = join(dir, 'clip.mp4');
    await writeFile(path, 'the film');
    const filename = 'scène "1"/clip.mp4';
    const seen: number[] = [];
    const accepted = await client().uploadFile({
      ...{ ...CLIP, filename, path, visibility: 'public' },
      onProgress: (bytes) => seen.push(bytes),
    });
    const file = api.received.at(-1);
    expect(accepted).toMatchObject({ batchId: file?.batchId, outcome: 'created' });
    expect(accepted.jobs[0]?.files[0]?.assetId).toBe(file?.assetId);
    expect(file).toMatchObject({ filename: 'scène %221%22/clip.mp4', contentType: 'video/mp4', size: 8 });
    expect(file?.fields).toEqual({
      ...SCENE,
      assetType: 'video_chunk',
      visibility: 'public',
    });
    expect(seen).toEqual([8]);
  });

  test('streams 256 MiB byte for byte, holding little of it and never far ahead of the server', async () => {
    const size = 256 * 2 ** 20;
    const bytesBefore = api.bytesRead();
    const heldBefore = heldBytes();
    const hash = createHash('sha256');
    let furthestAhead = 0;
    let mostHeld = 0;
    async function* stream() {
      for (let sent = 0; sent < size; sent += 2 ** 20) {
        const bytes = Buffer.alloc(2 ** 20);
        bytes.writeUInt32LE(sent);
        hash.update(bytes);
        furthestAhead = Math.max(furthestAhead, sent - (api.bytesRead() - bytesBefore));
        if (sent % (32 * 2 ** 20) === 0) mostHeld = Math.max(mostHeld, heldBytes() - heldBefore);
        yield bytes;
      }
    }
    await client().uploadFile({ ...CLIP, stream: stream(), size });
    expect(api.received.at(-1)).toMatchObject({ size, checksum: hash.digest('hex') });
    expect(furthestAhead).toBeLessThan(32 * 2 ** 20);
    expect(mostHeld).toBeLessThan(64 * 2 ** 20);
  });

  test('stops reading its source when it is aborted', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    let ended = false;
    async function* endless() {
      try {
        for (let sent = 0; ; sent += 65_536) {
          if (sent > 2 ** 20) abort.abort(reason);
          yield Buffer.alloc(65_536);
        }
      } finally {
        ended = true;
      }
    }
    const upload = client().uploadFile({ ...CLIP, stream: endless() }, { signal: abort.signal });
    await expect(upload).rejects.toBe(reason);
    await vi.waitUntil(() => ended);
  });

  test('sends a stream of unknown length, and bytes, and none', async () => {
    async function* stream() {
      yield Buffer.from('so ');
      yield Buffer.from('long');
    }
    await client().uploadFile({ ...CLIP, stream: stream() });
    expect(api.received.at(-1)).toMatchObject({ size: 7, checksum: sha256('so long') });
    const code = { ...SCENE, assetType: 'source_code', filename: 'scene.ts' } as const;
    await client().uploadFile({ ...code, bytes: Buffer.from('let a = 1;') });
    expect(api.received.at(-1)).toMatchObject({ contentType: 'text/plain', checksum: sha256('let a = 1;') });
    await client().uploadFile({ ...code, bytes: new Uint8Array(0) });
    expect(api.received.at(-1)).toMatchObject({ size: 0 });
  });

  test('says so when the path cannot be read, or the file changes on the way', async () => {
    const missing = await errorOf(client().uploadFile({ ...CLIP, path: join(dir, 'none.mp4') }));
    expect(missing).toMatchObject({ code: 'FILE_UNREADABLE', details: { path: join(dir, 'none.mp4') } });
    expect((await errorOf(client().uploadFile({ ...CLIP, path: dir }))).code).toBe('FILE_UNREADABLE');

    async function* stream() {
      yield Buffer.from('12345');
    }
    for (const size of [4, 6]) {
      expect(await errorOf(client().uploadFile({ ...CLIP, stream: stream(), size }))).toMatchObject({
        code: 'FILE_CHANGED',
        message: `clip.mp4 no longer has the ${size} bytes it had when its upload began.`,
      });
    }
  });

  test('sees an answer that comes before the body has gone', async () => {
    const path = join(dir, 'large.mp4');
    await writeFile(path, '');
    await truncate(path, 64 * 2 ** 20);
    const error = await errorOf(client({ key: 'rk_wrong' }).uploadFile({ ...CLIP, path }));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', status: 401, retryable: false, correlationId: 'c_1' });
    expect(error.nextAction).toContain('Authorization');
  });
});

test('uploadFiles sends JSON and is never sent twice', async () => {
  const files = [{ assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'pass' } }] as const;
  const { jobs } = await client().uploadFiles({ ...SCENE, files });
  expect(jobs[0]?.files).toEqual([{ assetId: api.received.at(-1)?.assetId, filename: 'a.py' }]);
  expect(api.received.at(-1)).toMatchObject({ checksum: sha256('pass'), fields: SCENE });

  api.answerOnce('/v1/uploads', 503, { 'retry-after': '5' }, { error: away });
  const before = api.requests.length;
  const error = await errorOf(client().uploadFiles({ ...SCENE, files }));
  expect(error).toMatchObject({ code: 'QUEUE_UNAVAILABLE', retryable: true, retryAfterSeconds: 5 });
  expect(api.requests.length).toBe(before + 1);
});

describe('reads', () => {
  test('are tried again as Retry-After says', async () => {
    waits.length = 0;
    api.answerOnce('/v1/jobs', 503, { 'retry-after': '7' }, { error: away });
    api.answerOnce('/v1/jobs', 503, {}, { error: away });
    expect(await client().listJobs()).toEqual([]);
    expect(waits).toEqual([7_000, 800]);
  });

  test('give up after three tries, and at once when the wait would be long or a retry cannot help', async () => {
    waits.length = 0;
    for (let i = 0; i < 3; i++) api.answerOnce('/v1/jobs', 503, {}, { error: away });
    expect(await errorOf(client().listJobs())).toMatchObject({ code: 'QUEUE_UNAVAILABLE', status: 503 });
    expect(waits).toEqual([200, 800]);
    api.answerOnce('/v1/jobs', 429, { 'retry-after': '3600' }, { error: { ...away, code: 'RATE_LIMITED' } });
    expect(await errorOf(client().listJobs())).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 3600 });
    expect(await errorOf(client().getAsset('a_none'))).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    expect(waits).toEqual([200, 800]);
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
    const page = { assets: [], next: null };
    api.answerOnce('/v1/projects/', 200, {}, page);
    expect(await client().listAssets({ project: 'a/b', session: 's 1' })).toEqual({ assets: [], next: undefined });
    expect(api.requests.at(-1)).toBe('GET /v1/projects/a%2Fb/sessions/s%201/assets');
    api.answerOnce('/v1/projects/', 200, {}, page);
    await client().listAssets(SCENE, { assetType: 'subtitle', history: true });
    expect(api.requests.at(-1)).toBe('GET /v1/projects/demo/sessions/s1/scenes/c1/assets?type=subtitle&history=1');
  });

  test('look up many URLs at once, each with its own failure', async () => {
    const found = { assetId: 'a_1', url: 'https://cdn.example/1', expiresAt: 5, servedFrom: 'memory' };
    const { code, message, retryable, nextAction, details } = { ...away, code: 'NOT_FOUND' };
    const missing = { assetId: 'a_2', error: { code, message, retryable, nextAction, details } };
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
      const running = { batchId, state: 'accepted', total: 1, successful: [], failed: [], size: 1 };
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
    for (let i = 0; i < 10; i++) api.answerOnce(`/v1/batches/${batchId}`, 503, {}, { error: away });
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

/** Bytes of buffers that something still refers to. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().arrayBuffers;
}

function sha256(bytes: string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
