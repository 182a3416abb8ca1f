import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Accepted, Staging } from '#answers';
import { startApi, type TestApi } from '#test/api.ts';
import { readEvents } from '#test/event-stream.ts';
import { type Contract, readContract } from '#test/openapi-contract.ts';
import { openApiDocument } from './openapi.ts';
import { ASSET_ID, STAGING_ID } from './openapi-examples.ts';

/** Real answers of a real API, each held against the document; together they touch every operation. */

let api: TestApi;
let contract: Contract;
let reader: string;
const seen = new Set<string>();

beforeAll(async () => {
  api = await startApi();
  contract = readContract(openApiDocument());
  reader = await api.key({ scopes: ['assets:read'] });
  await writeFile(join(api.root, 'clip.mp4'), 'not really a film');
});
afterAll(() => api.close());

/** Sends a request and holds its answer against the document; gives the answer. */
async function sent(method: string, path: string, init: RequestInit = {}, as?: string): Promise<Response> {
  const headers = new Headers(init.headers);
  if (as !== undefined) headers.set('authorization', as);
  const request = { ...init, headers, method, redirect: 'manual' } as const;
  const answer = as === undefined ? await api.call(path, request) : await fetch(api.url + path, request);
  const kept = answer.clone();
  seen.add(await contract.check(method, path, answer));
  return kept;
}
const asJson = (body: unknown): RequestInit => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
const post = (path: string, body: unknown) => sent('POST', path, asJson(body));

/** The examples of a body, by their names. */
function bodies(operation: string): [string, unknown][] {
  const media = contract.operations.get(operation)?.requestBody?.content['application/json'];
  return Object.entries(media?.examples ?? {}).map(([name, { value }]) => [name, value]);
}

/** Opens a job's events, which go on, and holds the first of them against the document. */
async function live(jobId: string): Promise<void> {
  const gone = new AbortController();
  const answer = await api.call(`/v1/jobs/${jobId}/events`, { signal: gone.signal });
  const events = readEvents(answer);
  let event = await events.next();
  while (!event.done && event.value.data === undefined) event = await events.next();
  gone.abort();
  const operation = 'GET /v1/jobs/{jobId}/events';
  const described = contract.operations.get(operation)?.responses[answer.status];
  expect(Object.keys(described?.content ?? {})).toContain(answer.headers.get('content-type')?.split(';')[0]);
  expect(contract.mistakes({ $ref: '#/components/schemas/Job' }, event.value?.data)).toBe('');
  seen.add(`${operation} ${answer.status}`);
}

/** Bytes in staging, complete; gives their id. */
async function staged(size: number): Promise<string> {
  const { stagingId, put } = (await (await post('/v1/staging', { project: 'demo', size })).json()) as Staging;
  const { pathname, search } = new URL(put?.url ?? '');
  await sent('PUT', pathname + search, { body: Buffer.alloc(size, 7), headers: put?.headers ?? {} }, '');
  await sent('POST', `/v1/staging/${stagingId}/complete`);
  return stagingId;
}

it('takes every example of an upload, planned and for good', async () => {
  const stagingId = await staged(17);
  for (const [name, body] of bodies('POST /v1/uploads')) {
    const real = JSON.parse(JSON.stringify(body).replace(STAGING_ID, stagingId));
    const planned = await post('/v1/uploads?dryRun=1', real);
    expect(planned.status, `${name}: ${await planned.text()}`).toBe(200);
    expect((await post('/v1/uploads', real)).status, name).toBe(202);
  }
});

it('takes a form, tells of its batch, job and asset, and cancels it', async () => {
  const form = new FormData();
  for (const [name, value] of Object.entries({ project: 'demo', session: 's1', scene: 'c', assetType: 'video_chunk' }))
    form.set(name, value);
  form.set('metadata', '{"take":3}');
  form.append('file', new File(['bytes'], 'clip.mp4'));
  const accepted = (await (await sent('POST', '/v1/uploads/files', { body: form })).json()) as Accepted;
  const { batchId, jobs } = accepted;
  const [{ jobId, files } = { jobId: '', files: [] }] = jobs;
  await sent('GET', `/v1/batches/${batchId}`);
  await sent('GET', `/v1/jobs/${jobId}`);
  await sent('GET', '/v1/jobs?state=waiting&limit=3');
  await sent('GET', `/v1/assets/${files[0]?.assetId}`);
  expect((await sent('GET', `/v1/assets/${files[0]?.assetId}/url`)).status).toBe(503);
  expect((await sent('DELETE', `/v1/jobs/${jobId}`)).status).toBe(202);
  await live(jobId);
  await sent('GET', `/v1/jobs/${jobId}`);
});

it('opens staging as the examples say, and gives it up', async () => {
  for (const [name, body] of bodies('POST /v1/staging')) {
    const answer = await post('/v1/staging', body);
    expect(answer.status, name).toBe(201);
    const { stagingId } = (await answer.json()) as Staging;
    await sent('GET', `/v1/staging/${stagingId}`);
    expect((await sent('POST', `/v1/staging/${stagingId}/complete`)).status).toBe(409);
    expect((await sent('DELETE', `/v1/staging/${stagingId}`)).status).toBe(204);
    expect((await sent('POST', `/v1/staging/${stagingId}/complete`)).status).toBe(410);
  }
});

it('reads, links and lists what is stored', async () => {
  const scene = { project: 'demo', session: 's1', scene: 'stored' };
  const assetId = await api.stored(scene, Buffer.from('the bytes'));
  const asset = `/v1/assets/${assetId}`;
  await sent('GET', asset);
  const { url } = (await (await sent('GET', `${asset}/url`)).json()) as { url: string };
  expect((await sent('GET', `${asset}/url?redirect=1`)).status).toBe(302);
  expect((await sent('GET', `${asset}/url?type=public`)).status).toBe(409);
  const { pathname, search } = new URL(url);
  const whole = await sent('GET', pathname + search, {}, '');
  const etag = whole.headers.get('etag') ?? '';
  expect((await sent('GET', pathname, {}, '')).status).toBe(403);
  for (const path of [`${asset}/content`, pathname + search]) {
    expect((await sent('GET', path)).status).toBe(200);
    expect((await sent('GET', path, { headers: { range: 'bytes=0-3' } })).status).toBe(206);
    expect((await sent('GET', path, { headers: { range: 'bytes=100-' } })).status).toBe(416);
    expect((await sent('GET', path, { headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' } })).status).toBe(
      304,
    );
  }
  await post('/v1/assets/urls', { assetIds: [assetId, ASSET_ID] });
  await sent('GET', '/v1/projects/demo/sessions/s1/scenes/stored/assets?limit=1&history=1');
  await sent('GET', '/v1/projects/demo/sessions/s1/assets');
  expect((await sent('GET', '/v1/projects/demo/sessions/s1/assets?cursor=none')).status).toBe(400);
});

it('makes and updates sessions and scenes', async () => {
  for (const path of ['/v1/projects/demo/sessions', '/v1/projects/demo/sessions/s1/scenes']) {
    const [[, body] = ['', {}]] = bodies(`POST ${path.replace('demo', '{project}').replace('s1', '{session}')}`);
    const fresh = Object.fromEntries(Object.entries(body as object).map(([name, value]) => [name, `${value} new`]));
    expect((await post(path, fresh)).status).toBe(201);
    expect((await post(path, fresh)).status).toBe(200);
    expect((await post(path, {})).status).toBe(400);
  }
});

it('refuses in the form and with the codes it says', async () => {
  for (const [name, { responses }] of contract.operations) {
    const [method = '', path = ''] = name.split(' ');
    const real = path.replaceAll(/\{\w+\}/g, 'none');
    if (responses[401]) expect((await sent(method, real, {}, 'Bearer wrong')).status, name).toBe(401);
    if (responses[404] && path.startsWith('/v1')) expect((await sent(method, real)).status, name).toBe(404);
    const writes = responses[403] && method !== 'GET' && path.startsWith('/v1') && !path.endsWith('/urls');
    if (writes) {
      const example = bodies(name)[0]?.[1];
      const answer = await sent(method, real, example === undefined ? {} : asJson(example), `Bearer ${reader}`);
      expect(answer.status, name).toBe(403);
    }
    if (responses[415]) expect((await sent(method, real, { body: 'text' })).status, name).toBe(415);
    if (responses[400] && path.includes('{') && path.startsWith('/v1')) {
      expect(
        (await sent(method, path.replaceAll(/\{\w+\}/g, '%20'), bodies(name).length > 0 ? asJson({}) : {})).status,
        name,
      ).toBe(400);
    }
  }
  const upload = (origin: object, own: object = {}) =>
    post('/v1/uploads', {
      ...{ project: 'demo', session: 's1', scene: 'c' },
      files: [{ assetType: 'source_code', filename: 'a.py', origin, ...own }],
    });
  const inline = { kind: 'inline', text: 'pass' };
  expect((await upload({ kind: 'path', path: '/etc/passwd' })).status).toBe(400);
  expect((await upload({ kind: 'path', path: 'none.mp4' })).status).toBe(400);
  expect((await upload({ kind: 'url', url: 'http://127.0.0.1/' })).status).toBe(400);
  expect((await upload({ kind: 'inline', text: '' })).status).toBe(422);
  expect((await upload(inline, { size: 5 })).status).toBe(422);
  expect((await upload(inline, { checksum: 'a'.repeat(64) })).status).toBe(422);
  expect((await post('/v1/assets/urls', { assetIds: Array(1_001).fill('a_1') })).status).toBe(413);
});

it('groups dead letters, replays and discards them', async () => {
  await sent('GET', '/v1/admin/dead-letters');
  await sent('GET', '/v1/admin/dead-letters?fingerprint=3f9a1c0b7d52&limit=3&cursor=small-41');
  expect((await sent('GET', '/v1/admin/dead-letters?cursor=none')).status).toBe(400);
  for (const [method, path, kind] of [
    ['POST', '/v1/admin/dead-letters/replay', 'replays'],
    ['DELETE', '/v1/admin/dead-letters', 'discards'],
  ] as const) {
    for (const [, body] of bodies(`${method} ${path}`)) {
      const answer = await sent(method, path, asJson({ ...(body as object), dryRun: false }));
      expect(answer.status).toBe(202);
      const { jobId } = (await answer.json()) as { jobId: string };
      expect((await sent('GET', `/v1/admin/dead-letters/${kind}/${jobId}`)).status).toBe(200);
      expect((await sent(method, path, asJson({ ...(body as object), dryRun: true }))).status).toBe(200);
    }
    expect((await sent(method, path, asJson({}))).status).toBe(400);
  }
});

it('compares store, Convex and Redis', async () => {
  expect((await sent('GET', '/v1/admin/reconcile')).status).toBe(404);
  for (const [, body] of bodies('POST /v1/admin/reconcile')) {
    const answer = await sent('POST', '/v1/admin/reconcile', asJson(body));
    expect(answer.status).toBe(202);
    const { jobId } = (await answer.json()) as { jobId: string };
    expect((await sent('GET', `/v1/admin/reconcile/${jobId}`)).status).toBe(200);
  }
  expect((await sent('GET', '/v1/admin/reconcile')).status).toBe(200);
  expect((await sent('GET', '/v1/admin/reconcile/none')).status).toBe(404);
  expect((await sent('POST', '/v1/admin/reconcile', asJson({ repair: 'yes' }))).status).toBe(400);
});

it('answers uploads under one key once', async () => {
  const [[, body] = ['', {}]] = bodies('POST /v1/uploads');
  const keyed = (text: unknown) => ({
    ...asJson(text),
    headers: { ...asJson(text).headers, 'idempotency-key': 'k-1' },
  });
  await sent('POST', '/v1/uploads', keyed(body));
  const again = await sent('POST', '/v1/uploads', keyed(body));
  expect(await again.json()).toMatchObject({ outcome: 'duplicate' });
  expect((await sent('POST', '/v1/uploads', keyed({ ...(body as object), session: 'other' }))).status).toBe(409);
});

it('serves its pages', async () => {
  for (const path of ['/', '/docs', '/docs/start.js', '/docs/none.js', '/openapi.json', '/metrics'])
    await sent('GET', path, {}, '');
  const login = `Basic ${Buffer.from(`${api.admin.user}:${api.admin.password}`).toString('base64')}`;
  await sent('GET', '/admin/queues', {}, login);
  await sent('GET', '/v1/admin/status');
  await sent('GET', '/health/live', {}, '');
  expect((await sent('GET', '/health/ready', {}, '')).status).toBe(503);
});

it('has been seen to answer well at each operation', () => {
  const untouched = [...contract.operations.keys()].filter(
    (name) => ![...seen].some((one) => one.startsWith(`${name} 2`)),
  );
  // There is no worker here.
  expect(untouched).toEqual(['GET /health/ready']);
});
