import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type RequestHandler } from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authenticated, createAccess } from '#api/auth.ts';
import { correlate } from '#api/correlation.ts';
import { answerError } from '#api/errors.ts';
import { jobEvents, type StreamLimits } from '#api/job-events.ts';
import { serve } from '#api/serve.ts';
import { createLogger } from '#log';
import { startWorker } from '#processors/start.ts';
import type { JobView } from '#queues/producer.ts';
import { startApi, type TestApi } from './api.ts';
import { readEvents, readTo, type SentEvent } from './event-stream.ts';
import { type HeldFile, type HeldOrigin, startHeldOrigin } from './held-origin.ts';
import { packWork, someFile } from './pack-work.ts';
import { until } from './until.ts';
import { openWorkerParts } from './worker-parts.ts';

let api: TestApi;
let origin: HeldOrigin;
let dir: string;
let worker: { close(): Promise<void> };
let work: ReturnType<typeof packWork>;

beforeAll(async () => {
  [api, origin, dir] = await Promise.all([
    startApi(),
    startHeldOrigin(),
    mkdtemp(join(tmpdir(), 'reelay-job-events-')),
  ]);
  const parts = await openWorkerParts({
    env: {
      ...{ URL_ORIGIN_PORTS: String(origin.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.0/8', REDIS_PREFIX: 'test' },
    },
    beside: { server: api.redisServer, engine: api.engine, dir },
  });
  worker = await startWorker(parts, parts.config);
  work = packWork({ ...parts, ...api });
});
afterAll(async () => {
  await worker.close();
  await Promise.all([api.close(), origin.close()]);
  await rm(dir, { recursive: true, force: true });
});

/** A job whose bytes the test holds back. */
async function heldJob(): Promise<{ jobId: string; held: HeldFile }> {
  const held = origin.hold(Buffer.from('held bytes'), 3);
  const files = [someFile({ kind: 'url', url: held.url })];
  const { jobs } = await work.accept([{ lane: 'small', files }]);
  await held.read();
  return { jobId: jobs[0]?.jobId ?? '', held };
}
const open = (jobId: string, init: RequestInit = {}) => api.call(`/v1/jobs/${jobId}/events`, init);
const stateOf = ({ data }: SentEvent) => (data as JobView).state;

describe('the events of a job', () => {
  it('begin with the job as it is, tell what a worker elsewhere does to it, and come to an end', async () => {
    const { jobId, held } = await heldJob();
    const response = await open(jobId);
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = readEvents(response);
    const [hint, now] = await readTo(events, ({ event }) => event === 'job');
    expect(hint).toEqual({ retry: '2000' });
    expect(now).toMatchObject({ event: 'job', data: { jobId, state: 'active' } });
    held.release();
    const rest = await readTo(events, ({ event }) => event === 'end');
    expect(rest.at(-1)).toMatchObject({ data: { jobId, state: 'completed', progress: 1 } });
    expect(rest.filter(({ event }) => event === 'job').map(stateOf)).toContain('completed');
    expect(await events.next()).toMatchObject({ done: true });
  });

  it('tell of errors and of the next try', async () => {
    const { jobId, held } = await heldJob();
    const events = readEvents(await open(jobId));
    held.cut(3);
    held.drop();
    const seen = await readTo(events, ({ event }) => event === 'end');
    const delayed = seen.find((event) => event.event === 'job' && stateOf(event) === 'delayed');
    expect(delayed?.data).toMatchObject({ error: { code: 'ORIGIN_UNREADABLE' }, nextRetryAt: expect.any(Number) });
    expect(seen.at(-1)?.data).toMatchObject({ state: 'failed', error: { code: 'ORIGIN_UNREADABLE' } });
  });

  it('go on where a reader left off, and are nothing to one that saw the end', async () => {
    const { jobId, held } = await heldJob();
    const first = readEvents(await open(jobId));
    const id = (await readTo(first, ({ event }) => event === 'job')).at(-1)?.id ?? '';
    await first.return();
    const again = readEvents(await open(jobId, { headers: { 'last-event-id': id } }));
    await readTo(again, ({ comment }) => comment === true);
    held.release();
    const seen = await readTo(again, ({ event }) => event === 'end');
    expect(seen.filter((event) => event.id === id)).toEqual([]);
    const last = await open(jobId, { headers: { 'last-event-id': seen.at(-1)?.id ?? '' } });
    expect(last.status).toBe(204);
    const other = readEvents(await open(jobId, { headers: { 'last-event-id': 'of another job' } }));
    expect((await readTo(other, ({ event }) => event === 'end')).map(({ event }) => event)).toContain('job');
  });

  it('are for those who may read them', async () => {
    const { jobId, held } = await heldJob();
    held.release();
    const elsewhere = await api.key({ projects: ['other'] });
    const as = (key: string) =>
      fetch(`${api.url}/v1/jobs/${jobId}/events`, { headers: { authorization: `Bearer ${key}` } });
    expect((await as(elsewhere)).status).toBe(404);
    expect((await as('nobody')).status).toBe(401);
    expect((await open('b_nobody-0')).status).toBe(404);
  });

  it('cost one connection a lane, however many follow', async () => {
    const { jobId, held } = await heldJob();
    const readers = [readEvents(await open(jobId))];
    const connections = async () =>
      String(await api.redis.call('CLIENT', 'LIST'))
        .trim()
        .split('\n').length;
    for (const reader of readers) await readTo(reader, ({ event }) => event === 'job');
    const before = await connections();
    for (let at = 0; at < 20; at += 1) readers.push(readEvents(await open(jobId)));
    for (const reader of readers.slice(1)) await readTo(reader, ({ event }) => event === 'job');
    expect(await connections()).toBe(before);
    held.release();
    await Promise.all(readers.map((reader) => readTo(reader, ({ event }) => event === 'end')));
  });
});

describe('cancelling over HTTP', () => {
  it('answers with the job, shows in its events, and is recorded', async () => {
    const { jobId } = await heldJob();
    const events = readEvents(await open(jobId));
    const asked = await api.call(`/v1/jobs/${jobId}`, { method: 'DELETE' });
    expect(asked.status).toBe(202);
    expect(await asked.json()).toMatchObject({ jobId, error: { code: 'CANCELLED' } });
    const seen = await readTo(events, ({ event }) => event === 'end');
    expect(seen.at(-1)?.data).toMatchObject({ state: 'completed', error: { code: 'CANCELLED' } });
    expect((await api.call(`/v1/jobs/${jobId}`, { method: 'DELETE' })).status).toBe(200);
    const recorded = JSON.stringify(await api.redis.xrange('test:audit', '-', '+'));
    expect(recorded).toContain(`jobs.cancel:${jobId}`);
  });

  it('is refused after the commit, without the scope, and for what is not there', async () => {
    const { jobId, held } = await heldJob();
    held.release();
    await work.whenJob(jobId, 'completed');
    const late = await api.call(`/v1/jobs/${jobId}`, { method: 'DELETE' });
    expect(late.status).toBe(409);
    expect(await late.json()).toMatchObject({ error: { code: 'CONFLICT', message: expect.stringContaining(jobId) } });
    const reader = await api.key({ scopes: ['assets:read'] });
    const asReader = { method: 'DELETE', headers: { authorization: `Bearer ${reader}` } };
    expect((await fetch(`${api.url}/v1/jobs/${jobId}`, asReader)).status).toBe(403);
    expect((await api.call('/v1/jobs/b_nobody-0', { method: 'DELETE' })).status).toBe(404);
  });
});

/** Streams of a process of their own, within `limits`, at the time `clock` tells. */
async function serveStreams(limits: StreamLimits, clock: () => number = Date.now, before?: RequestHandler) {
  const { producer, metadata } = api;
  const app = express();
  app.use(correlate(createLogger({ logLevel: 'silent' }, 'api')));
  const access = createAccess({ metadata, clock, verifyViewer: async () => undefined });
  const closing = new AbortController();
  if (before) app.use(before);
  app.get('/:jobId', authenticated(access), jobEvents({ producer, closing: closing.signal, clock }, access, limits));
  app.use(answerError);
  const serving = await serve(app, { host: '127.0.0.1', port: 0 });
  const follow = (jobId: string, key: string, signal: AbortSignal | null = null) =>
    fetch(`http://127.0.0.1:${serving.port}/${jobId}`, { headers: { authorization: `Bearer ${key}` }, signal });
  return { closing, serving, follow };
}

describe('streams of one process', () => {
  it('take no place for a reader that left before it was known who it is', async () => {
    const arrived = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    let requests = 0;
    const { serving, follow } = await serveStreams(
      { streams: 1, perCaller: 1, heartbeatMs: 20 },
      Date.now,
      async (_req, res, next) => {
        requests += 1;
        if (requests > 1) return next();
        arrived.resolve();
        await once(res, 'close');
        next();
        left.resolve();
      },
    );
    const [key, { jobId, held }] = await Promise.all([api.key(), heldJob()]);
    const leaving = new AbortController();
    const gone = follow(jobId, key, leaving.signal).catch(() => undefined);
    await arrived.promise;
    leaving.abort();
    await Promise.all([gone, left.promise]);
    const events = readEvents(await follow(jobId, key));
    await readTo(events, ({ event }) => event === 'job');
    held.release();
    await readTo(events, ({ event }) => event === 'end');
    await serving.close();
  });

  it('leave places to others, and end with the right to read them', async () => {
    const start = Date.now();
    let passed = 0;
    const limits = { streams: 9, perCaller: 1, heartbeatMs: 20 };
    const { serving, follow } = await serveStreams(limits, () => start + passed);
    const { jobId, held } = await heldJob();
    const [key, other] = await Promise.all([api.key({ expiresAt: start + 60_000 }), api.key()]);
    const events = readEvents(await follow(jobId, key));
    await readTo(events, ({ event }) => event === 'job');
    const second = await follow(jobId, key);
    expect(second.status).toBe(503);
    expect(await second.json()).toMatchObject({ error: { message: expect.stringMatching(/^The caller has 1/) } });
    const others = readEvents(await follow(jobId, other));
    await readTo(others, ({ event }) => event === 'job');

    passed = 60_000;
    for await (const event of events) expect(event.event).not.toBe('end');
    expect((await follow(jobId, key)).status).toBe(401);
    held.release();
    await readTo(others, ({ event }) => event === 'end');
    await serving.close();
  });

  it('are bounded, and each is heard of now and then', async () => {
    const { closing, serving, follow: followAs } = await serveStreams({ streams: 1, perCaller: 1, heartbeatMs: 20 });
    const key = await api.key();
    const { jobId, held } = await heldJob();
    const follow = () => followAs(jobId, key);

    const one = readEvents(await follow());
    await readTo(one, ({ comment }) => comment === true);
    const second = await follow();
    expect(second.status).toBe(503);
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0);
    await one.return();
    const free = await until(
      async () => {
        const response = await follow();
        return response.status === 200 && response;
      },
      { within: 5_000, what: 'the place to be free' },
    );

    const rest = readEvents(free);
    await readTo(rest, ({ event }) => event === 'job');
    closing.abort();
    for await (const event of rest) expect(event.event).not.toBe('end');
    held.release();
    await serving.close();
  });
});

describe('while Redis is away', () => {
  it('the stream says so and ends, and a reader that comes back is told the rest', async () => {
    const { jobId, held } = await heldJob();
    const events = readEvents(await open(jobId));
    await readTo(events, ({ event }) => event === 'job');
    await api.redisServer.kill();
    const seen = await readTo(events, ({ event }) => event === 'unavailable');
    expect(seen.at(-1)?.data).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(await events.next()).toMatchObject({ done: true });
    expect((await open(jobId)).status).toBe(503);

    await api.redisServer.start();
    const back = await until(
      async () => {
        const response = await open(jobId);
        return response.status === 200 && response;
      },
      { within: 10_000, what: 'Redis to be back' },
    );
    held.release();
    const rest = await readTo(readEvents(back), ({ event }) => event === 'end');
    expect(rest.at(-1)?.data).toMatchObject({ state: 'completed' });
  });
});
