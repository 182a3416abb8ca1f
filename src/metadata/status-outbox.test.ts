import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { someFacts, someScene, someUpdate } from '#test/asset-facts.ts';
import { type ConvexEdge, type EdgeAnswer, startConvexEdge } from '#test/convex-edge.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { createConvexMetadata } from './convex.ts';
import type { StatusUpdate } from './metadata.ts';
import { createStatusOutbox, type StatusOutbox } from './status-outbox.ts';

describe('the status outbox', () => {
  let server: TestRedis;
  let redis: Redis;
  let edge: ConvexEdge;
  let outbox: StatusOutbox;
  let answer: (updates: StatusUpdate[]) => EdgeAnswer | Promise<EdgeAnswer>;
  let errors: unknown[];
  const TAKEN: EdgeAnswer = { value: null };

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });
  beforeEach(async () => {
    await redis.flushall();
    answer = () => TAKEN;
    errors = [];
    edge = await startConvexEdge(({ args }) => answer(args.updates as StatusUpdate[]));
    outbox = openOutbox();
  });
  afterEach(async () => {
    await outbox.stop();
    await edge.close();
  });

  function openOutbox(): StatusOutbox {
    const metadata = createConvexMetadata({ url: edge.url, token: async () => 't', mutationTimeoutMs: 5_000 });
    return createStatusOutbox({ redis, prefix: 'test', metadata, onError: (error) => errors.push(error) });
  }

  const updates = (count: number) => Array.from({ length: count }, () => someUpdate(someFacts(someScene())));
  const sent = () => edge.calls.flatMap(({ args }) => args.updates as StatusUpdate[]);

  it('keeps the newest write of each asset, compared by number from the left', async () => {
    const facts = someFacts(someScene());
    const put = (...fence: [number, number, number]) => outbox.put([someUpdate(facts, { fence })]);
    const kept = async (...fence: [number, number, number]) => {
      await put(...fence);
      return (await outbox.get(facts.assetId))?.fence;
    };
    expect(await kept(0, 2, 9)).toEqual([0, 2, 9]);
    expect(await kept(0, 10, 1)).toEqual([0, 10, 1]);
    expect(await kept(0, 9, 99)).toEqual([0, 10, 1]);
    expect(await kept(1, 0, 0)).toEqual([1, 0, 0]);
    expect(await kept(0, 99, 99)).toEqual([1, 0, 0]);
    expect(await outbox.size()).toBe(1);
  });

  it('gives back what was put, and forgets on demand', async () => {
    const error = { code: 'EMPTY_FILE' as const, message: 'Zażółć', retryable: false, nextAction: 'Go.', details: {} };
    const update = someUpdate(someFacts(someScene()), { status: 'error', error });
    await outbox.put([update]);
    expect(await outbox.get(update.facts.assetId)).toEqual(update);
    await outbox.forget([update.facts.assetId, 'unknown']);
    await outbox.forget([]);
    expect(await outbox.get(update.facts.assetId)).toBeUndefined();
  });

  it('sends what waits in slices of at most 500 and is empty then', async () => {
    const all = updates(1_201);
    await outbox.put(all);
    expect(await outbox.size()).toBe(1_201);
    await outbox.flush();
    expect(await outbox.size()).toBe(0);
    expect(edge.calls.map(({ args }) => (args.updates as unknown[]).length)).toEqual([500, 500, 201]);
    const ids = (list: readonly StatusUpdate[]) => list.map(({ facts }) => facts.assetId).toSorted();
    expect(ids(sent())).toEqual(ids(all));
  });

  it('loses no write that comes while an older one is being sent', async () => {
    const facts = someFacts(someScene());
    await outbox.put([someUpdate(facts, { fence: [0, 1, 1] })]);
    let once = true;
    answer = async () => {
      if (once) await outbox.put([someUpdate(facts, { fence: [0, 1, 10] })]);
      once = false;
      return TAKEN;
    };
    await outbox.flush();
    expect(sent().map(({ fence }) => fence)).toEqual([
      [0, 1, 1],
      [0, 1, 10],
    ]);
    expect(await outbox.size()).toBe(0);
  });

  it('lets several processes put and flush at once without losing the last word', async () => {
    const last = new Map<string, number>();
    answer = (some) => {
      for (const { facts, fence } of some) last.set(facts.assetId, Math.max(last.get(facts.assetId) ?? 0, fence[2]));
      return TAKEN;
    };
    const all = Array.from({ length: 30 }, () => someFacts(someScene()));
    const others = [outbox, openOutbox(), openOutbox()];
    for (const one of others) one.start();
    for (let at = 1; at <= 40; at += 1) {
      const fence: [number, number, number] = [0, 1, at];
      await others[at % 3]?.put(all.map((facts) => someUpdate(facts, { fence })));
    }
    await until(async () => (await outbox.size()) === 0, { within: 10_000, what: 'the outbox to be empty' });
    await Promise.all(others.map((one) => one.stop()));
    expect([...last.values()]).toEqual(all.map(() => 40));
  });

  it('keeps everything while Convex is away and delivers when it is back', async () => {
    answer = () => ({ status: 503 });
    await outbox.put(updates(5));
    outbox.start();
    await until(() => errors.length >= 2, { within: 10_000, what: 'two failed flushes' });
    expect(errors[0]).toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    expect(await outbox.size()).toBe(5);
    answer = () => TAKEN;
    await until(async () => (await outbox.size()) === 0, { within: 10_000, what: 'the outbox to be empty' });
  });

  it.each([
    ['refuses', 'ArgumentValidationError', 'METADATA_REJECTED', 1],
    ['fails at, three times,', 'Server Error', 'METADATA_FAILED', 3],
  ])('drops an update that Convex %s while it takes others, and says so', async (_, refuse, code, tries) => {
    const [bad, ...good] = updates(9);
    let alone = 0;
    answer = (some) => {
      const has = some.some(({ facts }) => facts.assetId === bad?.facts.assetId);
      if (has && some.length === 1) alone += 1;
      return has ? { refuse } : TAKEN;
    };
    await outbox.put([...(bad ? [bad] : []), ...good]);
    await outbox.flush();
    expect(await outbox.size()).toBe(0);
    expect(errors).toMatchObject([{ code }]);
    expect(alone).toBe(tries);
  });

  it('keeps everything when Convex refuses everything', async () => {
    answer = () => ({ refuse: "Could not find public function for 'assets:applyStatuses'." });
    await outbox.put(updates(4));
    await expect(outbox.flush()).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
    expect(await outbox.size()).toBe(4);
  });

  it('keeps what waits through a crash of Redis', async () => {
    const [update] = updates(1);
    if (!update) throw new Error('No update.');
    await outbox.put([update]);
    await server.kill();
    await server.start();
    expect(await outbox.get(update.facts.assetId)).toEqual(update);
  });
});
