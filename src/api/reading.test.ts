import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi, type TestApi } from '#test/api.ts';
import { someFacts, someUpdate } from '#test/asset-facts.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ publicBaseUrl: 'https://cdn.example' });
});
afterAll(() => api.close());

const BYTES = Buffer.from('0123456789');
const scene = () => ({ project: `p-${randomUUID()}`, session: 's-1', scene: 'scene-1' });

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}
async function codeOf(response: Response): Promise<[number, unknown]> {
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code];
}
/** A URL that the API gave, asked of this API: it names the public address. */
const local = (url: unknown) => String(url).replace('http://api.example', api.url);

describe('GET /v1/assets/:assetId', () => {
  test('shows the row, without what is ours alone', async () => {
    const entity = scene();
    const assetId = await api.stored(entity, BYTES, { metadata: { take: 2 } });
    const asset = await json(await api.call(`/v1/assets/${assetId}`));
    expect(asset).toMatchObject({
      ...entity,
      ...{ assetId, status: 'ready', version: 1, current: true, size: 10, metadata: { take: 2 } },
      renditions: { status: 'none' },
    });
    for (const own of ['s3Url', 'acceptedSeq', 'createdBy', '_id']) expect(asset).not.toHaveProperty(own);
  });

  test('shows what waits for Convex, and says so while Convex is away', async () => {
    const facts = someFacts(scene());
    await api.outbox.put([someUpdate(facts, { progress: 0.5 })]);
    const path = `/v1/assets/${facts.assetId}`;
    expect(await json(await api.call(path))).toMatchObject({ status: 'uploading', progress: 0.5, current: false });

    const committed = await api.stored(scene(), BYTES);
    await api.engine.kill();
    try {
      expect(await json(await api.call(path))).toMatchObject({ status: 'uploading', stale: true });
      expect(await codeOf(await api.call(`/v1/assets/${committed}`))).toEqual([503, 'METADATA_UNAVAILABLE']);
    } finally {
      await api.engine.start();
    }
  });

  test('knows nothing of an unknown asset, nor of one of another project', async () => {
    const assetId = await api.stored(scene(), BYTES);
    const authorization = `Bearer ${await api.key({ projects: ['elsewhere'] })}`;
    for (const path of [`/v1/assets/${assetId}`, `/v1/assets/${assetId}/url`, `/v1/assets/${assetId}/content`]) {
      expect(await codeOf(await fetch(api.url + path, { headers: { authorization } }))).toEqual([404, 'NOT_FOUND']);
    }
    expect(await codeOf(await api.call('/v1/assets/a_unknown'))).toEqual([404, 'NOT_FOUND']);
    expect(await codeOf(await api.call('/v1/assets/a.b'))).toEqual([400, 'VALIDATION_FAILED']);
  });
});

describe('GET /v1/assets/:assetId/url', () => {
  test('gives a URL that serves the bytes: from Convex, then from memory', async () => {
    const assetId = await api.stored(scene(), BYTES);
    const first = await json(await api.call(`/v1/assets/${assetId}/url`));
    expect(first).toMatchObject({ servedFrom: 'convex', expiresAt: expect.any(Number) });
    expect(await (await fetch(local(first.url))).text()).toBe('0123456789');
    const second = await json(await api.call(`/v1/assets/${assetId}/url`));
    expect(second).toEqual({ ...first, servedFrom: 'memory' });
  });

  test('redirects', async () => {
    const assetId = await api.stored(scene(), BYTES);
    const response = await api.call(`/v1/assets/${assetId}/url?redirect=1`, { redirect: 'manual' });
    expect(response.status).toBe(302);
    expect(await (await fetch(local(response.headers.get('location')))).text()).toBe('0123456789');
  });

  test('signs a download under its own name: source code by scene and version', async () => {
    const assetId = await api.stored(scene(), BYTES, { assetType: 'source_code', filename: 'main' });
    const { url, servedFrom } = await json(await api.call(`/v1/assets/${assetId}/url?download=1`));
    expect(servedFrom).toBe('signed');
    const response = await fetch(local(url));
    expect(response.headers.get('content-disposition')).toBe('attachment; filename=scene-1_v1.py');
  });

  test('gives public assets the public base, unless a signed URL is wished for', async () => {
    const assetId = await api.stored(scene(), BYTES, {
      visibility: 'public',
      filename: 'ä b.mp4',
      s3Key: `x/${randomUUID()}/ä b.mp4`,
    });
    const answer = await json(await api.call(`/v1/assets/${assetId}/url`));
    expect(answer.url).toMatch(/^https:\/\/cdn\.example\/x\/[\w-]+\/%C3%A4%20b\.mp4$/);
    expect(answer).not.toHaveProperty('expiresAt');
    const signed = await json(await api.call(`/v1/assets/${assetId}/url?type=signed`));
    expect(await (await fetch(local(signed.url))).text()).toBe('0123456789');
  });

  test('has none for what is not ready', async () => {
    const privately = await api.stored(scene(), BYTES);
    expect(await codeOf(await api.call(`/v1/assets/${privately}/url?type=public`))).toEqual([409, 'CONFLICT']);
    const facts = someFacts(scene());
    await api.metadata.applyStatuses([someUpdate(facts)]);
    const early = await api.call(`/v1/assets/${facts.assetId}/url`);
    expect(early.headers.get('retry-after')).toBe('5');
    expect(await codeOf(early)).toEqual([503, 'NOT_READY']);
  });

  test('answers for many at once, each with its own URL or error', async () => {
    const ids = [await api.stored(scene(), BYTES), 'a_unknown', await api.stored(scene(), BYTES)];
    const { urls } = (await json(await api.post('/v1/assets/urls', { assetIds: ids }))) as { urls: object[] };
    expect(urls).toMatchObject([
      { assetId: ids[0], url: expect.any(String), servedFrom: 'convex' },
      { assetId: 'a_unknown', error: { code: 'NOT_FOUND' } },
      { assetId: ids[2], url: expect.any(String) },
    ]);
    const many = { assetIds: Array.from({ length: 1_001 }, (_, index) => `a_${index}`) };
    expect(await codeOf(await api.post('/v1/assets/urls', many))).toEqual([413, 'TOO_LARGE']);
  });

  test('goes on from memory while Redis and Convex are away', async () => {
    const assetId = await api.stored(scene(), BYTES);
    await api.call(`/v1/assets/${assetId}/url`);
    await Promise.all([api.redisServer.kill(), api.engine.kill()]);
    try {
      const answer = await json(await api.call(`/v1/assets/${assetId}/url`));
      expect(answer.servedFrom).toBe('memory');
      expect(await (await fetch(local(answer.url))).text()).toBe('0123456789');
    } finally {
      await Promise.all([api.redisServer.start(), api.engine.start()]);
    }
  });
});

describe('bytes', () => {
  test('GET …/content says when the object of a ready asset is gone', async () => {
    const s3Key = `x/${randomUUID()}/clip.mp4`;
    const assetId = await api.stored(scene(), BYTES, { s3Key });
    await api.store.deleteMany([s3Key]);
    expect(await codeOf(await api.call(`/v1/assets/${assetId}/content`))).toEqual([502, 'OBJECT_MISSING']);
  });

  test('GET …/content serves ranges and refuses those outside', async () => {
    const assetId = await api.stored(scene(), BYTES);
    const get = (headers: Record<string, string> = {}, method = 'GET') =>
      api.call(`/v1/assets/${assetId}/content`, { headers, method });

    const whole = await get();
    expect([whole.status, await whole.text()]).toEqual([200, '0123456789']);
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      'accept-ranges': 'bytes',
      'content-length': '10',
      'content-type': 'video/mp4',
      'content-disposition': 'inline; filename=clip.mp4',
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
    });
    const etag = whole.headers.get('etag') ?? '';
    const head = await get({}, 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);

    for (const [range, status, body, contentRange] of [
      ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
      ['bytes=-3', 206, '789', 'bytes 7-9/10'],
      ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
      ['bytes=0-1,4-5', 200, '0123456789', null],
      ['lines=1-2', 200, '0123456789', null],
      ['nonsense', 200, '0123456789', null],
    ] as const) {
      const response = await get({ range });
      expect([response.status, await response.text(), response.headers.get('content-range')]).toEqual([
        status,
        body,
        contentRange,
      ]);
    }
    const outside = await get({ range: 'bytes=10-' });
    expect(outside.headers.get('content-range')).toBe('bytes */10');
    expect(await codeOf(outside)).toEqual([416, 'RANGE_NOT_SATISFIABLE']);

    expect((await get({ 'if-none-match': etag, 'cache-control': 'max-age=0' })).status).toBe(304);
    expect((await get({ range: 'bytes=2-4', 'if-range': '"another"' })).status).toBe(200);
    expect((await get({ range: 'bytes=2-4', 'if-range': etag })).status).toBe(206);
  });

  test('GET /objects serves only what was signed, as it was signed', async () => {
    const bytes = randomBytes(300_000);
    const assetId = await api.stored(scene(), bytes);
    const { url } = await json(await api.call(`/v1/assets/${assetId}/url`));
    const signed = local(url);
    const whole = await fetch(signed);
    expect(whole.headers.get('access-control-allow-origin')).toBe('*');
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(signed, { headers: { range: 'bytes=100000-' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(100_000))).toBe(true);

    for (const forged of [
      signed.replace(/expires=\d+/, 'expires=99999999999'),
      signed.replace('clip.mp4?', 'other.mp4?'),
      `${signed}x`,
      signed.split('?')[0] ?? '',
      `${api.url}/objects/..%2f..%2fetc%2fpasswd?expires=99999999999&signature=x`,
    ]) {
      const response = await fetch(forged);
      expect([response.status, await json(response)]).toMatchObject([
        403,
        { error: { code: 'FORBIDDEN', nextAction: "Ask for the asset's URL again and use it as it is." } },
      ]);
    }
  });
});
