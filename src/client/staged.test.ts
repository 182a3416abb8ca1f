import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Accepted, Staging } from '#answers';
import { startApi, type TestApi } from '#test/api.ts';
import { errorOf } from '#test/error-of.ts';
import { createClient } from './node.ts';

const MIB = 2 ** 20;
const CLIP = { project: 'demo', session: 's1', scene: 'c1', assetType: 'video_chunk', filename: 'clip.mp4' } as const;
/** Three parts, the last one short. */
const BYTES = randomBytes(16 * MIB + 5);
const checksum = createHash('sha256').update(BYTES).digest('hex');

let api: TestApi;
let key: string;
let dir: string;
/** Method and path of each request since the test began. */
let requests: string[];
/** Stands between client and API at each PUT, which it may answer itself. */
let atPut: (nth: number, url: string) => Promise<Response | string> | Response | string;

beforeAll(async () => {
  api = await startApi();
  key = await api.key();
  dir = await mkdtemp(join(tmpdir(), 'reelay-staged-'));
});
afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});
beforeEach(() => {
  requests = [];
  atPut = (_nth, url) => url;
});

/** The API gives out `http://api.example` as its address, which nobody reaches. */
const wire: typeof fetch = async (input, init) => {
  const url = String(input);
  requests.push(
    `${init?.method ?? 'GET'} ${new URL(url).pathname.replace(/st_[^/]+/, 'ID').replace(/[^/]*\/[^/]*$/, '')}`,
  );
  if (init?.method !== 'PUT') return fetch(url, init);
  expect(new Headers(init.headers).has('authorization')).toBe(false);
  const to = await atPut(puts(), url);
  return typeof to === 'string' ? fetch(to, init) : to;
};
const puts = () => requests.filter((request) => request.startsWith('PUT')).length;
const client = () => createClient({ apiUrl: api.url, key, fetch: wire, pause: async () => {} });
const look = async (stagingId: string) => (await api.call(`/v1/staging/${stagingId}`)).json() as Promise<Staging>;

/** The bytes that the worker would take. */
async function taken({ jobs: [job] }: Accepted): Promise<Buffer> {
  const { data } = (await api.producer.lanes[job?.lane === 'large' ? 'large' : 'small'].getJob(job?.jobId ?? '')) ?? {};
  const [file] = (data?.files ?? []) as unknown as { origin: { key: string } }[];
  return buffer((await api.store.get(file?.origin.key ?? '')).body);
}

describe('a large file', () => {
  test('goes by staging, in parts that are counted as they go', async () => {
    const bytes = Buffer.concat([randomBytes(64 * MIB), Buffer.from('1')]);
    const path = join(dir, 'large.mp4');
    await writeFile(path, bytes);
    const seen: number[] = [];
    const accepted = await client().uploadFile({ ...CLIP, path, onProgress: (sent) => seen.push(sent) });
    expect((await taken(accepted)).equals(bytes)).toBe(true);
    expect(puts()).toBe(9);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect([seen.length > 9, seen.at(-1)]).toEqual([true, bytes.length]);
  });

  test('of 64 MiB, any stream, and what is repeated by its key alone stay forms', async () => {
    const path = join(dir, 'form.mp4');
    await writeFile(path, Buffer.alloc(64 * MIB));
    await client().uploadFile({ ...CLIP, path });
    await appendFile(path, '1');
    const repeat = () => client().uploadFile({ ...CLIP, path }, { idempotencyKey: 'k-form' });
    expect([(await repeat()).outcome, (await repeat()).outcome]).toEqual(['created', 'duplicate']);
    async function* stream() {
      for (let i = 0; i < 65; i++) yield Buffer.alloc(MIB);
    }
    await client().uploadFile({ ...CLIP, stream: stream(), size: 65 * MIB });
    expect(puts()).toBe(0);
  });

  test('goes on with the parts that are missing, and is the same upload when sent again', async () => {
    const abort = new AbortController();
    const told: [string, number][] = [];
    const options = { idempotencyKey: 'k-on', onStaged: (...one: [string, number]) => void told.push(one) };
    let landed = 0;
    atPut = async (nth, url) => {
      if (nth === 1) return url;
      await expect.poll(async () => (await look(told[0]?.[0] ?? '')).parts?.length).toBe(1);
      landed += 1;
      abort.abort(new Error('enough'));
      return url;
    };
    const first = client().uploadFile({ ...CLIP, bytes: BYTES, checksum }, { ...options, signal: abort.signal });
    await expect(first).rejects.toThrow('enough');
    expect(landed).toBeGreaterThan(0);
    const stagingId = told[0]?.[0] ?? '';
    const { missing = [], parts } = await look(stagingId);
    expect([missing.length, parts?.length]).toEqual([2, 1]);
    requests = [];
    atPut = (_nth, url) => url;
    const accepted = await client().uploadFile({ ...CLIP, bytes: BYTES, checksum }, { ...options, stagingId });
    expect([puts(), told[1]]).toEqual([2, [stagingId, parts?.[0]?.size]]);
    expect((await taken(accepted)).equals(BYTES)).toBe(true);
    const again = await client().uploadFile({ ...CLIP, bytes: BYTES, checksum }, { ...options, stagingId });
    expect([again.outcome, again.batchId, puts()]).toEqual(['duplicate', accepted.batchId, 2]);
  });

  test('asks for a fresh URL when one is refused, and sends a part again whose connection broke', async () => {
    atPut = (nth, url) => {
      if (nth === 1) return url.replace(/signature=./, 'signature=~');
      if (nth === 2) throw new TypeError('fetch failed', { cause: new Error('ECONNRESET') });
      return nth === 3 ? new Response('<Error><Code>SlowDown</Code></Error>', { status: 503 }) : url;
    };
    const accepted = await client().uploadFile({ ...CLIP, bytes: BYTES, checksum });
    expect((await taken(accepted)).equals(BYTES)).toBe(true);
    expect(puts()).toBe(6);
  });

  test('is refused for good when a fresh URL is refused too', async () => {
    atPut = () => new Response('<Error><Code>AccessDenied</Code></Error>', { status: 403 });
    const error = await errorOf(client().uploadFile({ ...CLIP, bytes: BYTES, checksum }));
    expect(error).toMatchObject({ code: 'STORE_REJECTED', retryable: false, details: { status: 403 } });
    expect(error.message).toContain('answered 403 (AccessDenied) to a part of the file');
  });

  test('that is written to meanwhile is refused, and its parts are given up', async () => {
    const path = join(dir, 'growing.mp4');
    await writeFile(path, BYTES);
    let stagingId = '';
    const onStaged = (id: string) => {
      stagingId = id;
    };
    atPut = async (nth, url) => {
      if (nth === 1) await appendFile(path, 'more');
      return url;
    };
    const error = await errorOf(client().uploadFile({ ...CLIP, path, checksum }, { onStaged }));
    expect(error).toMatchObject({ code: 'FILE_CHANGED', details: { size: BYTES.length } });
    expect(await look(stagingId)).toMatchObject({ state: 'aborted' });
  });

  test('of another size than was staged is not joined to it', async () => {
    const { stagingId } = await staged(3);
    const error = await errorOf(client().uploadFile({ ...CLIP, bytes: BYTES, checksum }, { stagingId }));
    expect(error).toMatchObject({ code: 'FILE_CHANGED', details: { size: 3 } });
    expect(await look(stagingId)).toMatchObject({ state: 'open' });
  });

  test('starts anew when what was staged has ended', async () => {
    for (const stagingId of [(await staged(BYTES.length)).stagingId, 'st_neverheardof']) {
      await api.call(`/v1/staging/${stagingId}`, { method: 'DELETE' });
      const told: string[] = [];
      const options = { stagingId, onStaged: (id: string) => void told.push(id) };
      const accepted = await client().uploadFile({ ...CLIP, bytes: BYTES, checksum }, options);
      expect([told.length, told.includes(stagingId)]).toEqual([1, false]);
      expect((await taken(accepted)).equals(BYTES)).toBe(true);
    }
  });

  test('starts anew when its staging is given up under way', async () => {
    const told: string[] = [];
    atPut = async (nth, url) => {
      if (nth > 1) return url;
      await api.call(`/v1/staging/${told[0]}`, { method: 'DELETE' });
      return new Response('<Error><Code>NoSuchUpload</Code></Error>', { status: 404 });
    };
    const onStaged = (id: string) => void told.push(id);
    const accepted = await client().uploadFile({ ...CLIP, bytes: BYTES, checksum }, { onStaged });
    expect(told).toHaveLength(2);
    expect((await taken(accepted)).equals(BYTES)).toBe(true);
  });

  test('that the API refuses leaves nothing staged, nor does one that nobody can go on with', async () => {
    const refused = client().uploadFile({ ...CLIP, scene: '', bytes: BYTES, checksum });
    expect(await errorOf(refused)).toMatchObject({ code: 'VALIDATION_FAILED' });
    atPut = () => new Response('', { status: 503 });
    const away = createClient({ apiUrl: api.url, key, fetch: wire, retryForMs: 0 });
    const error = await errorOf(away.uploadFile({ ...CLIP, bytes: BYTES, checksum }));
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
    expect(requests.filter((request) => request.startsWith('DELETE'))).toHaveLength(2);
  });

  test('is held to the checksum it came with', async () => {
    const other = createHash('sha256').update('other').digest('hex');
    const { jobs } = await client().uploadFile({ ...CLIP, bytes: BYTES, checksum: other });
    const job = await api.producer.lanes.small.getJob(jobs[0]?.jobId ?? '');
    expect(job?.data.files).toMatchObject([{ checksum: other, size: BYTES.length }]);
    const blob = client().uploadFile({ ...CLIP, blob: new Blob(['x']), checksum });
    await expect(blob).rejects.toThrow('A checksum wants content that can be read in parts.');
  });
});

async function staged(size: number): Promise<Staging> {
  return (await api.post('/v1/staging', { project: 'demo', size, parts: true })).json() as Promise<Staging>;
}
