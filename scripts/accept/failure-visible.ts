import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newApiKey } from '#api/api-key.ts';
import { lanePrefix } from '#queues/lanes.ts';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { type Deployment, openDeployment, type Process } from '#test/deployment.ts';
import { startRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { atMost, type Chapter, equal, type Figure } from './figures.ts';

const FAILURES = 50;
const SECONDS = 2;
const WITHIN = 60_000;

/** Where a failure is looked for, each asked by itself. */
const PLACES = ['row', 'job', 'batch', 'dead letters'] as const;
type Place = (typeof PLACES)[number];

interface Bench {
  readonly deployment: Deployment;
  readonly api: Process;
  readonly redis: RedisConnection;
}

interface Failure {
  readonly code: string;
  /** Seconds from the 202 until it was seen, by place. */
  readonly seen: Readonly<Record<Place, number>>;
}

/** Uploads that fail for good, before they are stored and after it, and how soon each place tells of it. */
export const failureVisible: Chapter = {
  name: 'failure-visible',
  command: `POST /v1/uploads of a wrong checksum, and with a key revoked since, ${FAILURES} times each; row, job, batch and dead letters asked every 20 ms`,
  async run() {
    const server = await startRedis();
    const deployment = await openDeployment(server.url);
    const redis = connectRedis(server.url, 'caller', () => undefined);
    try {
      await whenConnected(redis, 10_000);
      const [api] = await Promise.all([deployment.startApi(), deployment.startWorker()]);
      const bench: Bench = { deployment, api, redis };
      await mkdir(join(deployment.dir, 'files'));
      await writeFile(join(deployment.dir, 'files/a.py'), 'print(1)');
      const wrong = await failures(bench, async () => deployment.agentKey, { checksum: 'ab'.repeat(32) });
      const refused = await failures(bench, () => revokedKey(bench), {});
      return [
        ...figures('wrong checksum', 'CHECKSUM_MISMATCH', wrong),
        ...figures('stored, and its commit refused', 'FORBIDDEN', refused),
        equal('of these noted as quarantined', await countQuarantined(deployment), FAILURES),
        equal('dead letters that the API lists', await countLetters(bench), 2 * FAILURES),
      ];
    } finally {
      redis.disconnect();
      await deployment.remove();
      await server.stop();
    }
  },
};

function figures(what: string, code: string, failures: readonly Failure[]): Figure[] {
  const slowest = (of: (failure: Failure) => number) => Math.max(...failures.map(of));
  const places = (failure: Failure) => PLACES.map((place) => failure.seen[place]);
  return [
    equal(`${what}: failures with code ${code}`, failures.filter((one) => one.code === code).length, FAILURES),
    atMost(
      `${what}: slowest, from the first place that told to the last`,
      slowest((one) => Math.max(...places(one)) - Math.min(...places(one))),
      SECONDS,
      's',
    ),
    ...PLACES.map((place) =>
      atMost(
        `${what}: slowest in ${place}, from the 202 on`,
        slowest(({ seen }) => seen[place]),
        SECONDS,
        's',
      ),
    ),
  ];
}

/** One after the other, so that none waits for another. */
async function failures(bench: Bench, newKey: () => Promise<string>, file: object): Promise<Failure[]> {
  const failed: Failure[] = [];
  for (let count = 0; count < FAILURES; count += 1) failed.push(await fail(bench, await newKey(), file));
  return failed;
}

async function fail({ deployment, api, redis }: Bench, key: string, file: object): Promise<Failure> {
  const response = await ask(api, key, '/v1/uploads', {
    ...{ project: 'demo', session: 's-1', scene: 'scene-1' },
    files: [{ assetType: 'source_code', filename: 'a.py', origin: { kind: 'path', path: 'a.py' }, ...file }],
  });
  const { batchId, jobs } = response as { batchId: string; jobs: { jobId: string; files: { assetId: string }[] }[] };
  const { jobId = '', files } = jobs[0] ?? {};
  const assetId = files?.[0]?.assetId ?? '';
  const since = performance.now();
  const seconds = async (place: Place, tells: () => Promise<boolean>) => {
    await until(tells, { within: WITHIN, what: `${jobId} in ${place}` });
    return (performance.now() - since) / 1_000;
  };
  const [row, job, batch, letters] = await Promise.all([
    seconds('row', async () => (await deployment.metadata.getAssets([assetId]))[0]?.status === 'error'),
    seconds('job', async () => (await view(api, deployment, `/v1/jobs/${jobId}`)).state === 'failed'),
    seconds('batch', async () => (await view(api, deployment, `/v1/batches/${batchId}`)).failed?.length === 1),
    seconds(
      'dead letters',
      async () => (await redis.zscore(`${lanePrefix('reelay', 'small')}:small:failed`, jobId)) !== null,
    ),
  ]);
  const { error } = await view(api, deployment, `/v1/jobs/${jobId}`);
  return { code: error?.code ?? '', seen: { row, job, batch, 'dead letters': letters } };
}

interface View {
  readonly state?: string;
  readonly failed?: readonly unknown[];
  readonly error?: { readonly code: string };
}

const view = (api: Process, { agentKey }: Deployment, path: string) => ask(api, agentKey, path) as Promise<View>;

/** The API has known the key for a moment, and Convex knows that it is revoked: its uploads are refused at their commit. */
async function revokedKey({ deployment, api }: Bench): Promise<string> {
  const { key, record } = newApiKey(randomBytes, {
    ...{ name: 'revoked', scopes: ['assets:read', 'assets:write'], createdAt: Date.now() },
  });
  await deployment.metadata.putApiKey(record);
  await ask(api, key, '/v1/batches/none');
  await deployment.metadata.putApiKey({ ...record, revokedAt: Date.now() });
  return key;
}

async function countQuarantined({ metadata }: Deployment): Promise<number> {
  return (await metadata.listQuarantined({ limit: 500 })).objects.length;
}

async function countLetters({ api, deployment }: Bench): Promise<number> {
  const { groups } = (await ask(api, deployment.agentKey, '/v1/admin/dead-letters')) as {
    groups: readonly { count: number }[];
  };
  return groups.reduce((sum, { count }) => sum + count, 0);
}

async function ask(api: Process, key: string, path: string, body?: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const given = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(api.url + path, { headers, ...given })).json();
}
