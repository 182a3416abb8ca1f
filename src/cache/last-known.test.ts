import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorFacts } from '#errors';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import type { UrlEntry } from './entry.ts';
import { createLastKnown } from './last-known.ts';
import { createSharedLayer } from './shared-layer.ts';

interface Row extends UrlEntry {
  readonly batchId: string;
  readonly progress: number;
  readonly error?: ErrorFacts | undefined;
  readonly nextRetryAt?: number | undefined;
  readonly metadata: object;
}

const FAILED: ErrorFacts = {
  ...{ code: 'EMPTY_FILE', message: 'No bytes.', retryable: false, nextAction: 'Again.', details: {} },
};

const MINUTES = 60_000;

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined) as Redis;
  await whenConnected(redis, 10_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function row(assetId: string, own: Partial<Row> = {}): Row {
  const entity = { project: 'demo', session: 's', scene: 'c' };
  const facts = {
    assetType: 'video_chunk',
    filename: 'a.mp4',
    contentType: 'video/mp4',
    visibility: 'private',
  } as const;
  return {
    ...{ assetId, entity, ...facts, status: 'uploading', progress: 0.5, s3Key: `k/${assetId}`, batchId: 'b-1' },
    ...{ metadata: { take: [1, null] } },
    ...own,
  };
}

let prefixes = 0;
function world() {
  const prefix = `known-${++prefixes}`;
  const news = new Map<string, Row>();
  const ends = new Map<string, 'ready' | ErrorFacts>();
  const time = { now: 1_000 * MINUTES };
  const errors: string[] = [];
  const process = () =>
    createLastKnown<Row>({
      ...{ redis, prefix, clock: () => time.now },
      waiting: async (assetId) => news.get(assetId),
      end: async (batchId, assetId) => ends.get(`${batchId} ${assetId}`),
      onError: (_error, doing) => errors.push(doing),
    });
  const known = process();
  const textOf = (assetId: string) =>
    redis.hget(`${prefix}:last-known:${Math.floor(time.now / (10 * MINUTES))}`, assetId);
  const noted = async (...rows: Row[]) => {
    known.note(rows);
    for (const { assetId, status } of rows) {
      const there = async () => (await textOf(assetId))?.includes(`"${status}"`);
      await until(there, { within: 5_000, what: `the note of ${assetId}` });
    }
  };
  const recalled = async (assetId: string) => (await known.recall([assetId])).get(assetId);
  return { prefix, news, ends, time, errors, process, known, textOf, noted, recalled };
}

describe('what is last known', () => {
  test('is every field of the row that was noted, in another process too', async () => {
    const { noted, process } = world();
    await noted(row('a'), row('b', { status: 'ready' }));
    const recalled = await process().recall(['a', 'b', 'unknown']);
    expect([...recalled]).toEqual([
      ['a', row('a')],
      ['b', row('b', { status: 'ready' })],
    ]);
  });

  test('is kept for an hour, and is what was noted last', async () => {
    const { prefix, time, noted, recalled } = world();
    await noted(row('a'), row('b'));
    const [key = ''] = await redis.keys(`${prefix}:*`);
    const left = await redis.pttl(key);
    expect(left > 69 * MINUTES && left <= 70 * MINUTES).toBe(true);
    time.now += 59 * MINUTES;
    await noted(row('a', { status: 'ready' }));
    expect(await recalled('a')).toMatchObject({ status: 'ready' });
    expect(await recalled('b')).toEqual(row('b'));
  });

  test('is written again only when it changed', async () => {
    const { prefix, known, textOf, noted } = world();
    await noted(row('a'));
    await redis.del(...(await redis.keys(`${prefix}:*`)));
    known.note([row('a')]);
    expect(await textOf('a')).toBeNull();
    await noted(row('a', { status: 'ready' }));
  });

  test('is not what an asset was before it was withdrawn', async () => {
    const { ends, time, known, noted, recalled } = world();
    ends.set('b-1 a', 'ready');
    await noted(row('a', { status: 'ready', version: 1 }));
    time.now += 20 * MINUTES;
    await noted(row('a', { status: 'ready', version: 1, progress: 1 }));
    await known.forget(['a']);
    expect(await recalled('a')).toBeUndefined();
    await noted(row('a', { status: 'error', version: 1, error: FAILED }));
    expect(await recalled('a')).toMatchObject({ status: 'error', error: FAILED });
  });

  test('is noted of thousands at once', async () => {
    const { noted, known } = world();
    const many = Array.from({ length: 1_201 }, (_, at) => row(`a-${at}`));
    await noted(...many);
    expect([...(await known.recall(many.map(({ assetId }) => assetId))).values()]).toEqual(many);
  });

  test('is the news on its way to Convex rather than what was noted before, unless that is final', async () => {
    const { news, noted, recalled } = world();
    await noted(row('a'), row('b', { status: 'ready' }));
    for (const assetId of ['a', 'b', 'c']) news.set(assetId, row(assetId, { progress: 0.9 }));
    expect(await recalled('a')).toMatchObject({ status: 'uploading', progress: 0.9 });
    expect(await recalled('b')).toMatchObject({ status: 'ready' });
    expect(await recalled('c')).toMatchObject({ progress: 0.9 });
  });

  test('is the end that the batch says', async () => {
    const { news, ends, noted, known, recalled } = world();
    await noted(row('a', { nextRetryAt: 5 }), row('b'), row('c'));
    ends.set('b-1 a', 'ready').set('b-1 b', FAILED).set('b-1 d', FAILED);
    const recall = await known.recall(['a', 'b', 'c']);
    expect(recall.get('a')).toMatchObject({ status: 'ready', progress: 1, nextRetryAt: undefined });
    expect(recall.get('b')).toMatchObject({ status: 'error', error: FAILED, progress: 0.5 });
    expect(recall.get('c')).toEqual(row('c'));
    news.set('d', row('d'));
    expect(await recalled('d')).toMatchObject({ status: 'uploading' });
  });

  test('of what was deleted is only that, whether a tombstone or the row said so', async () => {
    const { prefix, noted, recalled } = world();
    await noted(row('a', { status: 'ready' }), row('b', { status: 'deleted' }));
    await createSharedLayer(redis, prefix).drop(['a', 'c'], true);
    expect([await recalled('a'), await recalled('b'), await recalled('c')]).toEqual(['deleted', 'deleted', 'deleted']);
  });

  test('is nothing when another version wrote it in another form', async () => {
    const { prefix, noted, recalled } = world();
    await noted(row('b'));
    await redis.hset((await redis.keys(`${prefix}:*`))[0] ?? '', 'a', '{"assetId":"a"}');
    expect(await recalled('a')).toBeUndefined();
  });

  test('is nothing while Redis is away, which costs no reader an error', async () => {
    const { errors, known, recalled } = world();
    await server.kill();
    try {
      known.note([row('a')]);
      expect(await recalled('a')).toBeUndefined();
      await until(() => errors.length === 2, { within: 5_000, what: 'both failures' });
    } finally {
      await server.start();
      await whenConnected(redis, 10_000);
    }
  });
});
