import { Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectRedis } from '#redis/connection.ts';
import { startApi, type TestApi } from '#test/api.ts';
import { until } from '#test/until.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

describe('every answer', () => {
  test('carries a correlation id: a sane one of the caller, else a new one', async () => {
    const idFor = async (asked: string) => {
      const response = await fetch(`${api.url}/nowhere`, { headers: { 'x-correlation-id': asked } });
      const { error } = (await response.json()) as { error: { correlationId: string } };
      expect(response.headers.get('x-correlation-id')).toBe(error.correlationId);
      return error.correlationId;
    };
    expect(await idFor('run-1.a:b')).toBe('run-1.a:b');
    expect(await idFor('a b')).toMatch(/^[\da-f-]{36}$/);
    expect(await idFor('x'.repeat(129))).toMatch(/^[\da-f-]{36}$/);
  });

  test('has one form for what is not there, not allowed, or cannot be read', async () => {
    const nowhere = await fetch(`${api.url}/nowhere`);
    expect([nowhere.status, await nowhere.json()]).toEqual([
      404,
      {
        error: {
          code: 'NOT_FOUND',
          message: 'There is no GET /nowhere.',
          retryable: false,
          nextAction: expect.stringContaining('path'),
          details: {},
          correlationId: expect.any(String),
        },
      },
    ]);
    const put = await api.call('/v1/assets/a_1/url', { method: 'PUT' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const unreadable = await api.call('/v1/assets/%E0%A4%A');
    expect([unreadable.status, await unreadable.json()]).toMatchObject([400, { error: { code: 'VALIDATION_FAILED' } }]);
  });
});

describe('health', () => {
  const ready = async () => {
    const response = await fetch(`${api.url}/health/ready`);
    return [response.status, await response.json()];
  };
  const becomes = (expected: unknown) =>
    until(async () => JSON.stringify(await ready()) === JSON.stringify(expected), {
      within: 30_000,
      what: JSON.stringify(expected),
    });

  test('is live whatever else is away', async () => {
    const response = await fetch(`${api.url}/health/live`);
    expect([response.status, await response.json()]).toEqual([200, { live: true }]);
  });

  test('is ready once a worker serves, degraded without Convex, and not ready without Redis', async () => {
    await becomes([503, { ready: false, missing: ['worker'] }]);
    const connection = connectRedis(api.redisServer.url, 'worker', () => {});
    const { prefix } = api.producer.lanes.small.opts;
    const worker = new Worker('small', async () => {}, { connection, ...(prefix !== undefined && { prefix }) });
    worker.on('error', () => {});
    await worker.waitUntilReady();
    await becomes([200, { ready: true }]);
    await api.engine.kill();
    await becomes([200, { ready: true, degraded: ['metadata'] }]);
    expect(await (await fetch(api.url)).text()).toContain('<p>Away: Convex.</p>');
    await api.engine.start();
    await becomes([200, { ready: true }]);
    await api.redisServer.kill();
    await becomes([503, { ready: false, missing: ['queue', 'worker'] }]);
    expect(await (await fetch(api.url)).text()).toContain('<p>Away: Redis, the worker.</p>');
    await api.redisServer.start();
    await becomes([200, { ready: true }]);
    await worker.close();
    connection.disconnect();
  });
});

describe('what other processes are cut off from', () => {
  const open = { dependency: 'store', process: 'worker 7@render-2', since: 1_795_176_428_000 };
  const degraded = async () =>
    ((await (await fetch(`${api.url}/health/ready`)).json()) as { degraded?: string[] }).degraded;

  test('is degraded, and shown to admins with where it is', async () => {
    await api.breakers.show(open);
    await until(async () => String(await degraded()) === 'store', { within: 5_000, what: 'it to be degraded' });
    const ask = async (key: string) =>
      fetch(`${api.url}/v1/admin/status`, { headers: { authorization: `Bearer ${key}` } });
    const answer = await ask(await api.key({ scopes: ['admin'] }));
    expect([answer.status, await answer.json()]).toEqual([
      200,
      {
        ...{ ready: false, degraded: ['store'], missing: ['worker'], breakers: [open], statusOutbox: 0 },
        scrub: { checked: 0, bytes: 0, missing: 0, different: 0, held: 0, passes: 0 },
        queues: expect.objectContaining({ small: { waiting: 0, active: 0, delayed: 0, completed: 0, failed: 0 } }),
      },
    ]);
    expect((await ask(await api.key())).status).toBe(403);
    await api.breakers.remove(open);
    await until(async () => (await degraded()) === undefined, { within: 5_000, what: 'it to be well again' });
  });
});

describe('pages', () => {
  test('/ is a plain page that runs nothing', async () => {
    const response = await fetch(api.url);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await response.text()).toContain('<h1>Reelay</h1>');
  });

  test('/metrics shows the queues as they are', async () => {
    await api.producer.accept({
      ...{
        batchId: 'b_metrics',
        entity: { project: 'p', session: 's' },
        correlationId: 'c',
        createdBy: 'k',
        createdAt: 1,
      },
      packs: [
        {
          lane: 'large',
          files: [
            {
              ...{
                assetId: 'a_1',
                assetType: 'manifest',
                filename: 'm',
                contentType: 'a/b',
                s3Key: 'k',
                visibility: 'private',
              },
              ...{ metadata: {}, origin: { kind: 'path', path: '/x' } },
            },
          ],
        },
      ],
    });
    const text = await (await fetch(`${api.url}/metrics`)).text();
    expect(text).toContain('reelay_queue_jobs{queue="large",state="waiting"} 1');
    expect(text).toContain('reelay_dead_letters{queue="large"} 0');
    expect(text).toContain('reelay_status_outbox_size 0');
  });
});

describe('/admin/queues', () => {
  const login = () => `Basic ${Buffer.from(`${api.admin.user}:${api.admin.password}`).toString('base64')}`;
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${api.url}/admin/queues${path}`, { ...init, headers: { authorization: login(), ...init.headers } });

  test('asks for the login', async () => {
    for (const authorization of ['', 'Basic YTpi', `${login()}=`]) {
      const response = await ask('', { headers: { authorization } });
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([
        401,
        expect.stringContaining('Basic'),
      ]);
      expect(await response.text()).toContain('REELAY_ADMIN_USER');
    }
  });

  test('shows jobs without what opens doors', async () => {
    const url = 'https://example.com/film.mp4?token=secret';
    await api.post('/v1/uploads', {
      ...{ project: 'p', session: 's', scene: 'c' },
      files: [
        { assetType: 'video_chunk', filename: 'f.mp4', origin: { kind: 'url', url }, metadata: { who: 'Lovelace' } },
      ],
    });
    const page = await ask('/api/queues?activeQueue=small&status=latest&page=1');
    expect(page.status).toBe(200);
    const text = await page.text();
    expect(text).toContain('https://example.com/film.mp4?[hidden]');
    expect(text).not.toContain('secret');
    expect(text).not.toContain('Lovelace');
  });

  test('changes what is harmless, from our own pages only, and records it in the audit', async () => {
    const put = (path: string, origin?: string) =>
      ask(path, { method: 'PUT', headers: { 'x-correlation-id': 'c-board', ...(origin !== undefined && { origin }) } });
    expect((await put('/api/queues/small/pause')).status).toBe(403);
    expect((await put('/api/queues/small/pause', 'https://evil.example')).status).toBe(403);
    expect(await api.producer.lanes.small.isPaused()).toBe(false);
    expect((await put('/api/queues/small/pause', api.url)).status).toBe(200);
    expect(await api.producer.lanes.small.isPaused()).toBe(true);
    expect((await put('/api/queues/small/resume', api.url)).status).toBe(200);
    for (const path of ['/api/queues/small/empty', '/api/queues/small/obliterate', '/api/queues/small/clean/failed']) {
      expect((await put(path, api.url)).status).toBe(403);
    }
    const recorded = await api.redis.xrange('test:audit', '-', '+');
    const deed = { actor: { kind: 'admin', id: 'admin' }, target: 'small', correlationId: 'c-board' };
    expect(recorded.map(([, [, text]]) => JSON.parse(text ?? ''))).toMatchObject([
      { ...deed, action: 'queues.pause', details: { queueName: 'small' } },
      { ...deed, action: 'queues.resume' },
    ]);
  });

  test('is closed without a password', async () => {
    const closed = await startApi({ closedBoard: true });
    try {
      const response = await fetch(`${closed.url}/admin/queues`);
      expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('REELAY_ADMIN_PASSWORD')]);
    } finally {
      await closed.close();
    }
  });
});
