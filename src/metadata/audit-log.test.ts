import { randomUUID } from 'node:crypto';
import { ConvexHttpClient } from 'convex/browser';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import type { AppError } from '#errors';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { type ConvexEdge, type EdgeAnswer, startConvexEdge } from '#test/convex-edge.ts';
import { startEngine, type TestEngine } from '#test/engine.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { type AuditLog, createAuditLog, type Deed } from './audit-log.ts';
import { createConvexMetadata } from './convex.ts';
import type { AuditEntry, Metadata } from './metadata.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

const TAKEN: EdgeAnswer = { value: null };
const deed = (target: string, own: Partial<Deed> = {}): Deed => ({
  actor: { kind: 'agent', id: 'k-1' },
  action: 'jobs.cancel',
  target,
  project: 'demo',
  correlationId: 'c-1',
  ...own,
});
const targets = (count: number) => Array.from({ length: count }, (_, at) => `j-${at}`);

function openLog(metadata: Metadata, own: { errors: unknown[]; refused?: AuditEntry[]; redis?: Redis }): AuditLog {
  return createAuditLog({
    ...{ redis, prefix: 'test', metadata, clock: () => 7, newId: randomUUID },
    onError: (error) => own.errors.push(error),
    onRefused: (entry) => own.refused?.push(entry),
    ...(own.redis && { redis: own.redis }),
  });
}

describe('the audit log', () => {
  let edge: ConvexEdge;
  let answer: (entries: AuditEntry[]) => EdgeAnswer | Promise<EdgeAnswer>;
  let audit: AuditLog;
  let errors: unknown[];
  let refused: AuditEntry[];

  beforeEach(async () => {
    await redis.flushall();
    answer = () => TAKEN;
    [errors, refused] = [[], []];
    edge = await startConvexEdge(({ args }) => answer(args.entries as AuditEntry[]));
    audit = open();
  });
  afterEach(async () => {
    await audit.stop();
    await edge.close();
  });

  const open = (own: { redis?: Redis } = {}) =>
    openLog(createConvexMetadata({ url: edge.url, token: async () => 't' }), { errors, refused, ...own });
  const sent = () => edge.calls.flatMap(({ args }) => args.entries as AuditEntry[]);
  const record = async (names: readonly string[]) => {
    for (const name of names) await audit.record(deed(name));
  };

  it('lets an entry go that it cannot read, and tells of it', async () => {
    const sent: string[] = [];
    answer = (entries) => {
      sent.push(...entries.map(({ target }) => target));
      return TAKEN;
    };
    for (const text of ['{"entryId":"of another version"}', 'no JSON'])
      await redis.xadd('test:audit', '*', 'entry', text);
    await audit.record(deed('j-1'));
    await audit.flush();
    expect(sent).toEqual(['j-1']);
    expect(errors.map(String)).toEqual([
      expect.stringContaining('another version'),
      expect.stringContaining('no JSON'),
    ]);
  });

  it('sends what was recorded, in order and at most 200 at once', async () => {
    await record(targets(401));
    expect(await audit.size()).toBe(401);
    await audit.flush();
    expect(sent().map(({ target }) => target)).toEqual(targets(401));
    expect(edge.calls.map(({ args }) => (args.entries as unknown[]).length)).toEqual([200, 200, 1]);
    expect(await audit.size()).toBe(0);
  });

  it('gives an entry its time and id, and the deed as it was told', async () => {
    await audit.record(deed('j-1', { details: { $why: 'asked' } }));
    await audit.record(deed('j-2', { entryId: 'own', project: undefined }));
    await audit.flush();
    expect(sent()).toEqual([
      { ...deed('j-1'), entryId: expect.any(String), at: 7, details: '{"$why":"asked"}' },
      expect.objectContaining({ entryId: 'own', at: 7, details: '{}' }),
    ]);
  });

  it('keeps everything while Convex is away and delivers it in order when it is back', async () => {
    answer = () => ({ status: 503 });
    await record(targets(3));
    audit.start();
    await until(() => errors.length >= 1, { within: 10_000, what: 'a failed flush' });
    expect(errors[0]).toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    edge.calls.splice(0);
    answer = () => TAKEN;
    await until(async () => (await audit.size()) === 0, { within: 10_000, what: 'all to be sent' });
    expect(
      sent()
        .slice(-3)
        .map(({ target }) => target),
    ).toEqual(targets(3));
  });

  it('deletes only what it has sent, though several processes flush at once', async () => {
    await record(targets(450));
    let met = 0;
    const both = Promise.withResolvers<void>();
    answer = async () => {
      met += 1;
      if (met === 2) both.resolve();
      await both.promise;
      return TAKEN;
    };
    await Promise.all([audit.flush(), open().flush()]);
    expect([...new Set(sent().map(({ target }) => target))]).toEqual(targets(450));
  });

  it('hands back an entry that Convex refuses while it takes others, and keeps all when it refuses all', async () => {
    await record(targets(4));
    answer = () => ({ refuse: "Could not find public function for 'audit:append'." });
    await expect(audit.flush()).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
    expect([await audit.size(), refused]).toEqual([4, []]);
    answer = (entries) => (entries.some(({ target }) => target === 'j-2') ? { refuse: 'Validator' } : TAKEN);
    await audit.flush();
    expect(refused).toMatchObject([{ target: 'j-2', details: {} }]);
    expect(await audit.size()).toBe(0);
  });

  it('refuses details that are too large', async () => {
    const tooLarge = { text: 'x'.repeat(64 * 1024) };
    await expect(audit.record(deed('j', { details: tooLarge }))).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await audit.size()).toBe(0);
  });

  it('keeps what waits through a crash of Redis, and says so when Redis does not take an entry', async () => {
    const caller = connectRedis(server.url, 'caller', () => undefined) as Redis;
    await whenConnected(caller, 10_000);
    const recorded = open({ redis: caller });
    await recorded.record(deed('j-kept'));
    await server.kill();
    const lost = await recorded.record(deed('j-lost')).catch((error: AppError) => error.code);
    await server.start();
    await audit.flush();
    caller.disconnect();
    expect([lost, sent().map(({ target }) => target)]).toEqual(['QUEUE_UNAVAILABLE', ['j-kept']]);
  });
});

describe('the audit log on a real Convex', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startEngine();
  });
  afterAll(() => engine?.stop());

  it('brings each entry once and in order, by two processes and through a kill of Convex', async () => {
    await redis.flushall();
    const metadata = createConvexMetadata({ url: engine.url, token: engine.token, mutationTimeoutMs: 2_000 });
    const logs = [1, 2].map(() => openLog(metadata, { errors: [] }));
    const [one, two] = logs as [AuditLog, AuditLog];
    for (const log of logs) log.start();
    await one.record(deed('j-0'));
    await until(async () => (await one.size()) === 0, { within: 10_000, what: 'the first entry' });
    await engine.kill();
    for (const [at, target] of targets(300).slice(1).entries()) await (at % 2 ? one : two).record(deed(target));
    const again = deed('j-300', { entryId: 'twice' });
    await one.record(again);
    await two.record(again);
    await engine.start();
    await until(async () => (await one.size()) === 0, { within: 20_000, what: 'all to be sent' });
    await Promise.all(logs.map((log) => log.stop()));
    const client = new ConvexHttpClient(engine.url, { skipConvexDeploymentUrlCheck: true, logger: false });
    client.setAuth(await engine.token());
    const { page } = await client.query(api.audit.list, { paginationOpts: { numItems: 500, cursor: null } });
    expect(page.map(({ target }) => target).toReversed()).toEqual(targets(301));
  });
});
