import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { type Cancellations, createCancellations } from './cancellations.ts';
import { newBatchId } from './ids.ts';

let server: TestRedis;
let redis: RedisConnection;
let cancellations: Cancellations;
let batchId: string;
const commit = { owner: 'a-0/1', commits: true };

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined);
  await whenConnected(redis, 5_000);
  cancellations = createCancellations(redis, 'cancel-test');
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => {
  batchId = newBatchId();
});

describe('of cancelling and claiming', () => {
  it('a cancellation that is first wins, however often it is asked for', async () => {
    expect(await cancellations.request(batchId, 'a-0')).toBe(true);
    expect(await cancellations.request(batchId, 'a-0')).toBe(true);
    expect(await cancellations.claim(batchId, ['a-0', 'a-1'], commit)).toEqual(new Set(['a-0']));
    expect(await cancellations.begin(batchId, 'a-0', true)).toBe(true);
    expect(await cancellations.isCancelled(batchId, 'a-0')).toBe(true);
    expect(await cancellations.mayBeCommitted(batchId, 'a-0')).toBe(false);
  });

  it('a claim that is first wins, until its owner or the next start takes it back', async () => {
    expect(await cancellations.claim(batchId, ['a-0'], commit)).toEqual(new Set());
    expect(await cancellations.request(batchId, 'a-0')).toBe(false);
    await cancellations.release(batchId, ['a-0'], 'a-0/2');
    expect(await cancellations.request(batchId, 'a-0')).toBe(false);
    await cancellations.release(batchId, ['a-0'], commit.owner);
    expect(await cancellations.request(batchId, 'a-0')).toBe(true);

    await cancellations.claim(batchId, ['a-1'], { owner: 'a-1/1', commits: false });
    expect(await cancellations.begin(batchId, 'a-1', false)).toBe(false);
    expect(await cancellations.request(batchId, 'a-1')).toBe(true);
  });

  it('the claim of the end of the batch outlasts a pack that runs once more, unless that has bytes to store', async () => {
    const end = { owner: 'a-end/1', commits: true };
    // The end may be at work before the pack gives its own claim back.
    await cancellations.claim(batchId, ['a-0'], { owner: 'a-0/1', commits: false });
    await cancellations.claim(batchId, ['a-0'], end);
    await cancellations.release(batchId, ['a-0'], 'a-0/1');
    expect(await cancellations.request(batchId, 'a-0')).toBe(false);

    expect(await cancellations.begin(batchId, 'a-0', false)).toBe(false);
    await cancellations.claim(batchId, ['a-0'], { owner: 'a-0/2', commits: false });
    await cancellations.release(batchId, ['a-0'], 'a-0/2');
    expect(await cancellations.request(batchId, 'a-0')).toBe(false);

    expect(await cancellations.begin(batchId, 'a-0', true)).toBe(false);
    expect(await cancellations.request(batchId, 'a-0')).toBe(true);
  });

  it('it is remembered that a commit may have been sent, and Convex may overrule', async () => {
    await cancellations.claim(batchId, ['a-0'], { ...commit, commits: false });
    expect(await cancellations.mayBeCommitted(batchId, 'a-0')).toBe(false);
    await cancellations.claim(batchId, ['a-0'], commit);
    await cancellations.release(batchId, ['a-0'], commit.owner);
    await cancellations.request(batchId, 'a-0');
    expect(await cancellations.mayBeCommitted(batchId, 'a-0')).toBe(true);
    await cancellations.overrule(batchId, 'a-0');
    expect(await cancellations.isCancelled(batchId, 'a-0')).toBe(false);
    expect(await cancellations.request(batchId, 'a-0')).toBe(false);
  });

  it('is kept as long as the record of the batch', async () => {
    await cancellations.request(batchId, 'a-0');
    expect(await redis.ttl(`cancel-test:batch:{${batchId}}:decisions`)).toBeGreaterThan(29 * 86_400);
  });
});
