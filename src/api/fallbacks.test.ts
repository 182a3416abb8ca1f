import { randomUUID } from 'node:crypto';
import { ConvexHttpClient } from 'convex/browser';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readConfig, type S3Config } from '#config';
import { api as functions } from '#convex/_generated/api.js';
import { createBatches } from '#queues/batches.ts';
import { createS3Store } from '#storage/s3.ts';
import { bytesSource } from '#storage/source.ts';
import { startApi, type TestApi } from '#test/api.ts';
import { someCommit, someFacts, someUpdate } from '#test/asset-facts.ts';
import { until } from '#test/until.ts';

const BYTES = Buffer.from('0123456789');
const HOUR = 3_600_000;
const scene = () => ({ project: `p-${randomUUID()}`, session: 's-1', scene: 'scene-1' });
const json = async (response: Response) => (await response.json()) as Record<string, unknown>;
async function refusal(response: Response): Promise<unknown[]> {
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code, response.headers.get('retry-after')];
}

/** A log that keeps its lines. */
function kept() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

describe('with Convex away', () => {
  const { log, lines } = kept();
  let api: TestApi;
  let other: TestApi;
  beforeAll(async () => {
    api = await startApi({ log });
    other = await startApi({ beside: api });
    // Its key is known to both from here on.
    for (const one of [api, other]) await one.call('/v1/jobs');
  });
  afterAll(async () => {
    await other.close();
    await api.close();
  });

  const away = async (run: () => Promise<void>) => {
    await api.engine.kill();
    await run().finally(() => api.engine.start());
  };
  const noted = (assetId: string, text: string) => {
    const there = async () => {
      const buckets = await api.redis.keys('test:last-known:*');
      const texts = await Promise.all(buckets.map((key) => api.redis.hget(key, assetId)));
      return texts.some((one) => one?.includes(text));
    };
    return until(there, { within: 5_000, what: `the note of ${assetId}` });
  };
  const upload = async () => {
    const file = { assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'x' } };
    const answer = await json(await api.post('/v1/uploads', { ...scene(), files: [file] }));
    const [job] = answer.jobs as { files: { assetId: string }[] }[];
    const assetId = job?.files[0]?.assetId ?? '';
    return { batchId: String(answer.batchId), assetId };
  };

  test('an asset that was read is shown as it was, as stale, by another process too', async () => {
    const assetId = await api.stored(scene(), BYTES);
    const fresh = await json(await api.call(`/v1/assets/${assetId}`));
    await noted(assetId, '"ready"');
    await away(async () => {
      for (const one of [api, other]) {
        expect(await json(await one.call(`/v1/assets/${assetId}`))).toEqual({ ...fresh, stale: true });
      }
    });
    expect(lines).toContainEqual(expect.objectContaining({ level: 40, code: 'METADATA_UNAVAILABLE', assetId }));
    expect(await json(await api.call(`/v1/assets/${assetId}`))).not.toHaveProperty('stale');
  });

  test('an asset just accepted has no URL yet, rather than being unknown', async () => {
    const { assetId } = await upload();
    expect(await refusal(await api.call(`/v1/assets/${assetId}/url`))).toEqual([503, 'NOT_READY', '5']);
  });

  test('an asset just accepted is shown, once its batch has ended with its end', async () => {
    const { batchId, assetId } = await upload();
    await api.outbox.flush();
    await noted(assetId, '"pending"');
    await away(async () => {
      const path = `/v1/assets/${assetId}`;
      expect(await json(await other.call(path))).toMatchObject({ status: 'pending', filename: 'a.py', stale: true });
      await createBatches(api.redis, 'test').finish(batchId, [[assetId, 'ready']]);
      expect(await json(await api.call(path))).toMatchObject({ status: 'ready', progress: 1, stale: true });
    });
  });

  test('a URL is what another process remembers, else signed for what is last known', async () => {
    const [read, unread] = [await api.stored(scene(), BYTES), await upload()];
    await api.call(`/v1/assets/${read}/url`);
    await noted(unread.assetId, '"pending"');
    await createBatches(api.redis, 'test').finish(unread.batchId, [[unread.assetId, 'ready']]);
    await away(async () => {
      expect(await json(await other.call(`/v1/assets/${read}/url`))).toMatchObject({ servedFrom: 'redis' });
      expect(await json(await api.call(`/v1/assets/${unread.assetId}/url`))).toMatchObject({ servedFrom: 'signed' });
      expect(await (await other.call(`/v1/assets/${read}/content`)).text()).toBe('0123456789');
    });
  });

  test('an asset nobody knows is unavailable, never absent, and spoils no other answer', async () => {
    const [read, unread] = [await api.stored(scene(), BYTES), await api.stored(scene(), BYTES)];
    await api.call(`/v1/assets/${read}/url`);
    await away(async () => {
      for (const assetId of [unread, 'a_unknown']) {
        for (const route of ['', '/url', '/content']) {
          const answer = await api.call(`/v1/assets/${assetId}${route}`);
          expect(await refusal(answer)).toEqual([503, 'METADATA_UNAVAILABLE', '5']);
        }
      }
      const { urls } = await json(await other.post('/v1/assets/urls', { assetIds: [unread, read] }));
      expect(urls).toMatchObject([{ error: { code: 'METADATA_UNAVAILABLE' } }, { servedFrom: 'redis' }]);
    });
  });

  test('a deleted asset is gone, and stays so: by its row, by its tombstone', async () => {
    const [byRow, byTombstone] = [await api.stored(scene(), BYTES), await api.stored(scene(), BYTES)];
    for (const assetId of [byRow, byTombstone]) {
      for (const route of ['', '/url']) await api.call(`/v1/assets/${assetId}${route}`);
      await noted(assetId, '"ready"');
    }
    const convex = new ConvexHttpClient(api.engine.url, { skipConvexDeploymentUrlCheck: true, logger: false });
    convex.setAuth(await api.engine.token());
    await convex.mutation(functions.assets.deleteAssetReferences, { assetIds: [byRow] });
    expect(await refusal(await api.call(`/v1/assets/${byRow}`))).toEqual([410, 'GONE', null]);
    await noted(byRow, '"deleted"');
    await api.urlCache.drop([byTombstone], { deleted: true });
    await away(async () => {
      expect(await refusal(await other.call(`/v1/assets/${byRow}`))).toEqual([410, 'GONE', null]);
      for (const route of ['', '/url', '/content']) {
        expect(await refusal(await other.call(`/v1/assets/${byTombstone}${route}`))).toEqual([410, 'GONE', null]);
      }
    });
  });

  test('a person is refused what is private, however well it is known', async () => {
    const entity = scene();
    await api.metadata.putMember(entity.project, 'ada', 'viewer');
    const assetId = await api.stored(entity, BYTES);
    await api.call(`/v1/assets/${assetId}`);
    await noted(assetId, '"ready"');
    const authorization = `Bearer ${await api.viewer('ada')}`;
    await away(async () => {
      for (const route of ['', '/url', '/content']) {
        const answer = await fetch(`${api.url}/v1/assets/${assetId}${route}`, { headers: { authorization } });
        expect(await refusal(answer)).toEqual([503, 'METADATA_UNAVAILABLE', '5']);
      }
    });
  });
});

describe('with a store whose credentials cannot be had', () => {
  const { log, lines } = kept();
  let api: TestApi;
  beforeAll(async () => {
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/nowhere');
    const { store } = readConfig({ S3_BUCKET: 'bucket' });
    api = await startApi({ log, signer: createS3Store(store as S3Config, { clock: Date.now }) });
  });
  afterAll(async () => {
    await api.close();
    vi.unstubAllEnvs();
  });

  /** A ready asset whose stored URL lives that long; gives its id. */
  async function storedFor(ms: number): Promise<string> {
    const commit = someCommit(scene());
    const { s3Key, contentType, assetId } = commit.facts;
    const stored = await api.store.put(s3Key, bytesSource(BYTES), { contentType, filename: 'clip.mp4' });
    await api.metadata.commit([{ ...commit, stored, url: { s3Url: '/objects/x', urlExpiresAt: Date.now() + ms } }]);
    return assetId;
  }
  const urlOf = async (assetId: string, query = '') =>
    json(await api.call(`/v1/assets/${assetId}/url${query}`)) as Promise<{ url: string; servedFrom: string }>;
  const servedFrom = async (where: string) =>
    Number(
      new RegExp(`url_requests_total{served_from="${where}"} (\\d+)`).exec(
        await (await fetch(`${api.url}/metrics`)).text(),
      )?.[1] ?? 0,
    );

  test('the last URL is served as long as it lives', async () => {
    const assetId = await storedFor(30_000);
    expect(await urlOf(assetId)).toMatchObject({ url: 'http://api.example/objects/x', servedFrom: 'convex' });
    expect(await urlOf(assetId)).toMatchObject({ url: 'http://api.example/objects/x', servedFrom: 'memory' });
    expect(lines.length).toBeGreaterThanOrEqual(2);
    expect(lines.at(-1)).toMatchObject({ level: 40, code: 'STORE_CREDENTIALS_EXPIRED' });
  });

  test('then the content route, which works for the caller with its key and is counted', async () => {
    const before = await servedFrom('content');
    const assetId = await storedFor(-HOUR);
    const { url, ...rest } = await urlOf(assetId);
    expect(rest).toEqual({ servedFrom: 'content' });
    expect(url).toBe(`http://api.example/v1/assets/${assetId}/content`);
    expect(await (await api.call(new URL(url).pathname)).text()).toBe('0123456789');
    expect(await servedFrom('content')).toBe(before + 1);
  });

  test('a download is saved by way of the content route', async () => {
    const { url, servedFrom } = await urlOf(await storedFor(HOUR), '?download=1');
    expect(servedFrom).toBe('content');
    const { pathname, search } = new URL(url);
    const answer = await api.call(pathname + search);
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename=clip.mp4');
  });

  test('with Convex away besides, what is last known has the content route', async () => {
    const facts = someFacts(scene(), { batchId: `b-${randomUUID()}` });
    await api.outbox.put([someUpdate(facts)]);
    await api.store.put(facts.s3Key, bytesSource(BYTES), { contentType: facts.contentType });
    const batches = createBatches(api.redis, 'test');
    const batch = { batchId: facts.batchId, entity: facts.entity, owner: 'k', total: 1, size: 10, createdAt: 1 };
    await batches.open({ ...batch, firstSeq: 1, packs: 1 }, 'accepted');
    await batches.finish(facts.batchId, [[facts.assetId, 'ready']]);
    await api.engine.kill();
    try {
      const { url, servedFrom } = await urlOf(facts.assetId);
      expect(servedFrom).toBe('content');
      expect(await (await api.call(new URL(url).pathname)).text()).toBe('0123456789');
    } finally {
      await api.engine.start();
    }
  });
});
