import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { newApiKey } from '#api/api-key.ts';
import { createClient } from '#client/client.ts';
import type { AssetRow } from '#metadata/metadata.ts';
import { openLanes } from '#queues/lanes.ts';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { createDiskStore } from '#storage/disk.ts';
import { type Deployment, openDeployment } from '#test/deployment.ts';
import { startRedis } from '#test/redis.ts';
import { openTcpProxy } from '#test/tcp-proxy.ts';
import { until } from '#test/until.ts';
import { atLeast, atMost, type Chapter, equal, type Figure } from './figures.ts';

const UPLOADS = 2_000;
const CONVEX_SECONDS = 180;
const STORE_SECONDS = 20;
const SCENES = 20;
const POSTED_AT_ONCE = 8;
/** Share of the uploads that is posted before Convex goes. */
const BEFORE = 0.1;
const LATEST = { convex: 30, store: 10 };

/** 2,000 uploads, most of them posted while Convex is away; then as many as a tenth of them while the store is. */
export const convexAway: Chapter = {
  name: 'convex-away',
  command: `${UPLOADS} × POST /v1/uploads; Convex cut for ${CONVEX_SECONDS} s by a TCP proxy, the store's disk gone for ${STORE_SECONDS} s`,
  run: () => runAway(UPLOADS, CONVEX_SECONDS, STORE_SECONDS),
};

/** The same at another size, in uploads and seconds. */
async function runAway(uploads: number, convexSeconds: number, storeSeconds: number): Promise<Figure[]> {
  const redis = await startRedis();
  const deployment = await openDeployment(redis.url);
  const wire = await openTcpProxy({ host: '127.0.0.1', port: Number(new URL(deployment.engine.url).port) });
  const connection = connectRedis(redis.url, 'caller', () => undefined);
  await whenConnected(connection, 10_000);
  const lanes = openLanes(connection, 'reelay', () => undefined);
  try {
    const env = { CONVEX_URL: `http://127.0.0.1:${wire.port}` };
    const [api] = await Promise.all([deployment.startApi(env), deployment.startWorker(env)]);
    const scene = { ...deployment, apiUrl: api.url, jobs: () => lanes.small.getJobs() };
    return [
      ...(await withoutConvex(scene, wire, uploads, convexSeconds)),
      ...(await withoutStore(scene, Math.ceil(uploads / 10), storeSeconds)),
    ];
  } finally {
    await Promise.all(Object.values(lanes).map((lane) => lane.close()));
    connection.disconnect();
    await wire.close();
    await deployment.remove();
    await redis.stop();
  }
}

interface Scene extends Deployment {
  readonly apiUrl: string;
  jobs(): Promise<{ readonly attemptsMade: number; readonly attemptsStarted: number }[]>;
}

async function withoutConvex(
  scene: Scene,
  wire: Pick<Awaited<ReturnType<typeof openTcpProxy>>, 'cut' | 'mend'>,
  uploads: number,
  seconds: number,
): Promise<Figure[]> {
  const post = poster(scene, 'convex');
  const revoked = newApiKey(randomBytes, { name: 'revoked', scopes: ['assets:write'], createdAt: Date.now() });
  await scene.metadata.putApiKey(revoked.record);
  const before = await post(Math.ceil(uploads * BEFORE), 0);
  await whenAllReady(scene, await poster(scene, 'revoked', revoked.key)(1, 0));

  await wire.cut();
  const end = Date.now() + seconds * 1_000;
  await scene.metadata.putApiKey({ ...revoked.record, revokedAt: Date.now() });
  const [late = ''] = await poster(scene, 'revoked', revoked.key)(1, 1);
  const during = await post(uploads - before.length, before.length);
  const posted = [...before, ...during];
  await pause(Math.max(0, end - Date.now() - 1_000));
  const stored = await countObjects(scene.dir, 'projects/convex/');
  await pause(Math.max(0, end - Date.now()));
  await wire.mend();
  const back = Date.now();
  const rows = await whenAllReady(scene, posted);
  const readyAfter = (Date.now() - back) / 1_000;
  const refused = await until(
    async () => (await scene.metadata.getAssets([late])).find(({ status }) => status === 'error'),
    { within: 60_000, what: 'the upload of a revoked key to be refused' },
  );
  return [
    equal('Convex away: uploads stored before it was back', stored, uploads),
    equal('Convex away: jobs that spent an attempt on it', await spentAttempts(scene), 0),
    atMost('Convex away: all ready after its return', readyAfter, LATEST.convex, 's'),
    ...versionFigures(rows, uploads),
    equal('Convex away: an upload by a key revoked meanwhile', refused.error?.code ?? 'none', 'FORBIDDEN'),
  ];
}

async function withoutStore(scene: Scene, uploads: number, seconds: number): Promise<Figure[]> {
  const objects = join(scene.dir, 'objects');
  const post = poster(scene, 'store', scene.agentKey, 'path');
  const before = await post(1, 0);
  await whenAllReady(scene, before);
  await rename(objects, `${objects}.away`);
  const end = Date.now() + seconds * 1_000;
  const posted = await post(uploads, 1);
  await pause(Math.max(0, end - Date.now()));
  const started = (await scene.jobs()).filter(({ attemptsMade }) => attemptsMade === 0);
  const untouched = started.filter(({ attemptsStarted }) => attemptsStarted === 0).length;
  await rename(`${objects}.away`, objects);
  const back = Date.now();
  await whenAllReady(scene, posted);
  const readyAfter = (Date.now() - back) / 1_000;
  return [
    atLeast('store away: packs that a resting lane left alone', untouched, Math.floor(uploads / 4), 'of them'),
    equal('store away: jobs that spent an attempt on it', await spentAttempts(scene), 0),
    atMost('store away: all ready after its return', readyAfter, LATEST.store, 's'),
  ];
}

/** Posts `count` uploads of one small file each, spread over the scenes of a project; gives their asset ids. */
function poster(scene: Scene, project: string, key = scene.agentKey, kind: 'inline' | 'path' = 'inline') {
  const client = createClient({ apiUrl: scene.apiUrl, key });
  const limit = pLimit(POSTED_AT_ONCE);
  return (count: number, from: number): Promise<string[]> =>
    limit.map(
      Array.from({ length: count }, (_, at) => from + at),
      async (n) => {
        const filename = `${n}.py`;
        const accepted = await client.uploadFiles({
          ...{ project, session: 's', scene: `c${n % SCENES}` },
          files: [{ assetType: 'source_code', filename, origin: await originOf(scene, kind, n) }],
        });
        return accepted.jobs[0]?.files[0]?.assetId ?? '';
      },
    );
}

async function originOf({ dir }: Scene, kind: 'inline' | 'path', n: number) {
  const text = `# ${n} ${randomBytes(200).toString('hex')}`;
  if (kind === 'inline') return { kind, text };
  // What is sent along would have to be staged first, in the store that is away.
  await mkdir(join(dir, 'files'), { recursive: true });
  await writeFile(join(dir, 'files', `${n}.py`), text);
  return { kind, path: `${n}.py` };
}

/** Resolves with the rows once all of them are ready. Asked past the proxy. */
function whenAllReady(scene: Scene, assetIds: readonly string[]): Promise<AssetRow[]> {
  return until(
    async () => {
      const rows = await rowsOf(scene, assetIds);
      return rows.length === assetIds.length && rows.every(({ status }) => status === 'ready') ? rows : undefined;
    },
    { within: 300_000, what: 'all to be ready', every: 1_000 },
  );
}

async function rowsOf({ metadata }: Scene, assetIds: readonly string[]): Promise<AssetRow[]> {
  const rows: AssetRow[] = [];
  for (let at = 0; at < assetIds.length; at += 1_000) {
    rows.push(...(await metadata.getAssets(assetIds.slice(at, at + 1_000))));
  }
  return rows;
}

/** The attempt that came to the end is one. */
const spentAttempts = async (scene: Scene) =>
  (await scene.jobs()).filter(({ attemptsMade }) => attemptsMade > 1).length;
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** Each scene's versions are 1, 2, 3… once each, and the file accepted last is what it shows. */
function versionFigures(rows: readonly AssetRow[], uploads: number): Figure[] {
  const scenes = [...Map.groupBy(rows, ({ entity }) => entity.scene).values()];
  const versions = sum(scenes.map((assets) => new Set(assets.map(({ version }) => version)).size));
  const highest = sum(scenes.map((assets) => Math.max(...assets.map(({ version = 0 }) => version))));
  const wrong = scenes.filter((assets) => {
    const last = assets.toSorted((a, b) => b.acceptedSeq - a.acceptedSeq)[0];
    return !last?.current || assets.filter(({ current }) => current).length !== 1;
  });
  return [
    equal('Convex away: different versions', versions, uploads),
    equal('Convex away: commits, by the last version of each scene', highest, uploads),
    equal('Convex away: scenes that show another than the file accepted last', wrong.length, 0),
  ];
}

/** Objects under `prefix`, by a walk of the store itself. */
async function countObjects(dir: string, prefix: string): Promise<number> {
  const store = createDiskStore({ dir: join(dir, 'objects'), urlSecret: Buffer.alloc(32), clock: Date.now });
  let count = 0;
  let after: string | undefined;
  do {
    const { objects, next } = await store.list(prefix, { after });
    count += objects.length;
    after = next;
  } while (after !== undefined);
  return count;
}
