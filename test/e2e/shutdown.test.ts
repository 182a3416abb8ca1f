import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readJobFacts } from '#queues/job-facts.ts';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { type Deployment, openDeployment, type Process } from '#test/deployment.ts';
import { readEvents, readTo } from '#test/event-stream.ts';
import { type HeldOrigin, startHeldOrigin } from '#test/held-origin.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';

const MIB = 1024 ** 2;
const WITHIN = 20_000;
const SCENE = { project: 'p', session: 's', scene: 'c' };
let server: TestRedis;
let redis: RedisConnection;
let deployment: Deployment;
let origin: HeldOrigin;
let api: Process;

beforeAll(async () => {
  [server, origin] = await Promise.all([startRedis(), startHeldOrigin()]);
  const env = { URL_ORIGIN_PORTS: String(origin.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.0/8' };
  deployment = await openDeployment(server.url, env);
  redis = connectRedis(server.url, 'worker', () => undefined);
  [api] = await Promise.all([deployment.startApi(), whenConnected(redis, 10_000)]);
}, 60_000);
afterAll(async () => {
  redis.disconnect();
  await deployment.remove();
  await Promise.all([server.stop(), origin.close()]);
});

const call = async (path: string, own: RequestInit = {}) => {
  const headers = { authorization: `Bearer ${deployment.agentKey}`, 'content-type': 'application/json' };
  return fetch(api.url + path, { headers, ...own });
};
/** A film of 20 MiB, the first 12 of which come at once: one part and a half. */
async function uploadFilm() {
  const film = origin.hold(Buffer.alloc(20 * MIB, 'film'), 12 * MIB);
  const file = { assetType: 'video_chunk', filename: 'a.bin', size: 20 * MIB, origin: { kind: 'url', url: film.url } };
  const accepted = await call('/v1/uploads', { method: 'POST', body: JSON.stringify({ ...SCENE, files: [file] }) });
  const { jobs } = (await accepted.json()) as { jobs: { jobId: string; lane: 'small' | 'large' }[] };
  const [job] = jobs;
  if (!job) throw new Error(`There is no job: ${accepted.status}`);
  return { film, ...job };
}
const jobOf = async (jobId: string) => (await (await call(`/v1/jobs/${jobId}`)).json()) as Record<string, unknown>;
const whenState = (jobId: string, state: string) =>
  until(async () => (await jobOf(jobId)).state === state, { within: WITHIN, what: `the job to be ${state}` });

describe('SIGTERM', () => {
  it('parks a film at a part, without an attempt spent, and the next worker goes on with it', async () => {
    const worker = await deployment.startWorker();
    const { film, jobId, lane } = await uploadFilm();
    const parts = async () =>
      Object.entries(await readJobFacts(redis, 'reelay', lane, jobId)).filter(([field]) => field.startsWith('part:'));
    await until(async () => (await parts()).length > 1, { within: WITHIN, what: 'a part to be noted' });
    expect(await worker.end()).toBe(0);
    expect(await jobOf(jobId)).toMatchObject({ state: 'waiting', attempts: 0 });
    const noted = await parts();

    film.release();
    const next = await deployment.startWorker({ LANES: lane });
    await whenState(jobId, 'completed');
    expect(await parts()).toEqual(expect.arrayContaining(noted));
    expect(await next.end()).toBe(0);
  });

  it('ends what an origin that says nothing keeps waiting', async () => {
    const worker = await deployment.startWorker({ LANES: 'small' });
    const silent = origin.hold(Buffer.from('never'), 0);
    const file = { assetType: 'source_code', filename: 'a.py', size: 5, origin: { kind: 'url', url: silent.url } };
    const body = JSON.stringify({ ...SCENE, files: [file] });
    const { jobs } = (await (await call('/v1/uploads', { method: 'POST', body })).json()) as {
      jobs: { jobId: string }[];
    };
    const jobId = jobs[0]?.jobId ?? '';
    await silent.read();
    expect(await worker.end()).toBe(0);
    expect(await jobOf(jobId)).toMatchObject({ state: 'waiting', attempts: 0 });
    await call(`/v1/jobs/${jobId}`, { method: 'DELETE' });
  });

  it('has an API finish what is under way, end its event streams, and take nothing more', async () => {
    const { jobId, film } = await uploadFilm();
    const stream = await call(`/v1/jobs/${jobId}/events`, {
      headers: { authorization: `Bearer ${deployment.agentKey}` },
    });
    const events = readEvents(stream);
    await readTo(events, ({ event }) => event === 'job');

    const bytes = Buffer.from(JSON.stringify({ ...SCENE, name: 'a scene' }));
    const { hostname, port } = new URL(api.url);
    const headers = {
      authorization: `Bearer ${deployment.agentKey}`,
      ...{ 'content-type': 'application/json', 'content-length': bytes.length },
    };
    const slow = request({ hostname, port, path: '/v1/projects/p/sessions', method: 'POST', headers });
    const answer = new Promise<number | undefined>((resolve, reject) =>
      slow.once('response', (response) => resolve(response.resume().statusCode)).once('error', reject),
    );
    slow.write(bytes.subarray(0, 10));
    await until(async () => slow.socket?.bytesWritten, { within: WITHIN, what: 'the request to be under way' });
    // A request that is answered after it shows that the server has seen it.
    await call('/health/live');

    const ended = api.end();
    for await (const { event } of events) expect(event).not.toBe('end');
    await until(() => refuses(hostname, Number(port)), { within: WITHIN, what: 'connections to be refused' });
    slow.end(bytes.subarray(10));
    expect(await answer).toBeLessThan(500);
    expect(await ended).toBe(0);
    film.release();
  });
});

const refuses = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true));
    socket.once('connect', () => socket.destroy());
  });
