import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import type { ApiKey } from '#metadata/metadata.ts';
import { startApi, type TestApi } from '#test/api.ts';
import { newApiKey } from './api-key.ts';
import { createAccess } from './auth.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const BYTES = Buffer.from('bytes');
const scene = () => ({ project: `p-${randomUUID()}`, session: 's-1', scene: 'scene-1' });

async function ask(path: string, token: string | undefined, init: RequestInit = {}) {
  const headers = { ...init.headers, ...(token !== undefined && { authorization: token }) };
  const response = await fetch(api.url + path, { ...init, headers });
  const { error } = (await response.json()) as { error?: { code: string; message: string; details: object } };
  return { status: response.status, code: error?.code, message: error?.message, details: error?.details };
}
const upload = (project: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    ...{ project, session: 's', scene: 'c' },
    files: [{ assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'x' } }],
  }),
});

describe('API keys', () => {
  test.each([
    ['no header', undefined],
    ['another scheme', 'Basic YTpi'],
    ['no key', 'Bearer nonsense'],
    ['an unknown key', `Bearer rk_${'0'.repeat(16)}_${'0'.repeat(64)}`],
  ])('refuses %s', async (_what, token) => {
    expect(await ask('/v1/assets/a_1', token)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
  });

  test('refuses a wrong secret, a revoked and an expired key, and says which', async () => {
    const key = await api.key();
    expect(await ask('/v1/jobs', `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? 1 : 0}`)).toMatchObject({
      status: 401,
    });
    const revoked = `Bearer ${await api.key({ revokedAt: Date.now() })}`;
    expect(await ask('/v1/jobs', revoked)).toMatchObject({ status: 401, message: 'The API key was revoked.' });
    const expired = `Bearer ${await api.key({ expiresAt: Date.now() - 1 })}`;
    expect(await ask('/v1/jobs', expired)).toMatchObject({ status: 401, message: 'The API key has expired.' });
  });

  test('holds a key to its scopes and projects', async () => {
    const reader = `Bearer ${await api.key({ scopes: ['assets:read'] })}`;
    const unscoped = { status: 403, code: 'FORBIDDEN', details: { scope: 'assets:write' } };
    expect(await ask('/v1/uploads', reader, { method: 'POST', body: 'unreadable' })).toMatchObject(unscoped);
    const form = new FormData();
    form.append('file', new Blob(['x']), 'a.mp4');
    expect(await ask('/v1/uploads/files', reader, { method: 'POST', body: form })).toMatchObject(unscoped);

    const own = `Bearer ${await api.key({ projects: ['mine'] })}`;
    const elsewhere = { ...unscoped, details: { scope: 'assets:write', project: 'demo' } };
    expect(await ask('/v1/uploads', own, upload('demo'))).toMatchObject(elsewhere);
    expect((await ask('/v1/uploads', own, upload('mine'))).status).toBe(202);
    expect(await ask('/v1/jobs', own)).toMatchObject({ status: 403 });
    expect((await ask('/v1/jobs?project=mine', own)).status).toBe(200);
  });

  test('goes on with a known key for an hour while Convex is away, and asks again when it is back', async () => {
    let now = 0;
    let known: ApiKey | 'away';
    const asked: string[] = [];
    const { key, record } = newApiKey(randomBytes, { name: 'k', scopes: ['assets:read'], createdAt: 0 });
    const findApiKey = async (keyId: string) => {
      asked.push(keyId);
      if (known === 'away') throw new AppError('METADATA_UNAVAILABLE', 'away');
      return known;
    };
    const access = createAccess({
      metadata: { findApiKey, findMember: async () => undefined },
      clock: () => now,
      verifyViewer: async () => undefined,
    });
    const authenticate = () => access.authenticate(`Bearer ${key}`);

    known = record;
    await authenticate();
    now = 29_000;
    await authenticate();
    expect(asked).toHaveLength(1);
    known = 'away';
    now = 31_000;
    await Promise.all([authenticate(), authenticate()]);
    now = 35_000;
    await authenticate();
    expect(asked).toHaveLength(2);
    now = 3_599_000;
    await authenticate();
    now = 3_605_000;
    await expect(authenticate()).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    known = { ...record, revokedAt: 1 };
    await expect(authenticate()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('people', () => {
  test('read what their projects hold, public assets anywhere, and write nothing', async () => {
    const [mine, other] = [scene(), scene()];
    await api.metadata.putMember(mine.project, 'ada', 'viewer');
    const ada = `Bearer ${await api.viewer('ada')}`;
    const inMine = await api.stored(mine, BYTES);
    const inOther = await api.stored(other, BYTES);
    const publicly = await api.stored(other, BYTES, { visibility: 'public' });

    for (const path of [`/v1/assets/${inMine}`, `/v1/assets/${inMine}/url`, `/v1/assets/${publicly}/url`]) {
      expect((await ask(path, ada)).status).toBe(200);
    }
    for (const path of [`/v1/assets/${inOther}`, `/v1/assets/${inOther}/url`, `/v1/assets/${publicly}`]) {
      expect(await ask(path, ada)).toMatchObject({ status: 404 });
    }
    expect(await ask(`/v1/projects/${other.project}/sessions/s-1/assets`, ada)).toMatchObject({ status: 403 });
    expect(await ask('/v1/uploads', ada, upload(mine.project))).toMatchObject({ status: 403 });
  });

  test('with Convex away: public assets go on, private ones are refused to who is not known', async () => {
    const entity = scene();
    await api.metadata.putMember(entity.project, 'eve', 'viewer');
    const eve = `Bearer ${await api.viewer('eve')}`;
    const privately = await api.stored(entity, BYTES);
    const publicly = await api.stored(entity, BYTES, { visibility: 'public' });
    for (const assetId of [privately, publicly]) await api.call(`/v1/assets/${assetId}/url`);
    await api.engine.kill();
    try {
      expect((await ask(`/v1/assets/${publicly}/url`, eve)).status).toBe(200);
      expect(await ask(`/v1/assets/${privately}/url`, eve)).toMatchObject({ status: 503 });
    } finally {
      await api.engine.start();
    }
  });
});
