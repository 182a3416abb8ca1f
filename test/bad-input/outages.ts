import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Deployment, openDeployment } from '../deployment.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { startRgw } from '../rgw.ts';
import { openTcpProxy } from '../tcp-proxy.ts';
import { until } from '../until.ts';
import { type Door, openDoor, SCENE } from './door.ts';

/** A dependency that is away, and what uploads come to meanwhile and afterwards. */
export interface Outage {
  readonly outage: string;
  readonly expected: readonly string[];
  run(): Promise<string[]>;
}

interface Scene extends Door {
  readonly redis: TestRedis;
  readonly deployment: Deployment;
}

const exec = promisify(execFile);
const WITHIN = 30_000;

interface Around {
  readonly env?: NodeJS.ProcessEnv;
  /** Before API and worker start. */
  readonly prepare?: (redis: TestRedis, dir: string) => Promise<void>;
  /** After they ended. */
  readonly cleanUp?: (dir: string) => Promise<void>;
}

/** Runs `play` on a deployment of its own with one API and one worker. */
async function staged<T>(play: (scene: Scene) => Promise<T>, { env = {}, prepare, cleanUp }: Around = {}): Promise<T> {
  const redis = await startRedis();
  const deployment = await openDeployment(redis.url, env);
  try {
    await mkdir(join(deployment.dir, 'files'));
    await prepare?.(redis, deployment.dir);
    const [api] = await Promise.all([deployment.startApi(), deployment.startWorker()]);
    return await play({ ...openDoor(api, deployment), redis, deployment });
  } finally {
    await deployment.killAll();
    await cleanUp?.(deployment.dir);
    await deployment.remove();
    await redis.stop();
  }
}

/** Posts until it is accepted: what a caller does who heeds Retry-After. */
async function postAgain({ post }: Door): Promise<Response> {
  const accepted = async () => {
    const response = await post();
    return response.status === 202 && response;
  };
  return until(accepted, { within: WITHIN, what: 'the upload to be accepted', every: 200 });
}

function form(bytes: number): { method: string; body: FormData } {
  const body = new FormData();
  for (const [name, value] of Object.entries({ ...SCENE, assetType: 'video_chunk' })) body.append(name, value);
  body.append('file', new Blob([Buffer.alloc(bytes, 'x')]), 'a.bin');
  return { method: 'POST', body };
}

/** What waits: its job is delayed, and says why. */
async function waiting(scene: Door, response: Response): Promise<string> {
  const { jobs } = (await response.clone().json()) as { jobs: { jobId: string }[] };
  const delayed = async () => {
    const job = await (await scene.send(`/v1/jobs/${jobs[0]?.jobId}`)).json();
    const { state, error, attempts } = job as { state: string; error?: { code: string }; attempts: number };
    return state === 'delayed' && error !== undefined && `waits for ${error.code}, ${attempts} attempts spent`;
  };
  return until(delayed, { within: WITHIN, what: 'the job to wait' });
}

const redisAtStart: Outage = {
  outage: 'Redis down when API and worker start',
  expected: ['503 QUEUE_UNAVAILABLE', 'ready'],
  run: () =>
    staged(
      async (scene) => {
        const refused = await scene.verdict(await scene.post());
        await scene.redis.start();
        return [refused, await scene.fate(await postAgain(scene))];
      },
      { prepare: (redis) => redis.kill() },
    ),
};

const redisLater: Outage = {
  outage: 'Redis down later',
  expected: ['ready', '503 QUEUE_UNAVAILABLE', '503 QUEUE_UNAVAILABLE', 'ready'],
  run: () =>
    staged(async (scene) => {
      const before = await scene.fate(await scene.post());
      await scene.redis.kill();
      const refused = await scene.verdict(await scene.post());
      const form503 = await scene.verdict(await scene.send('/v1/uploads/files', form(100)));
      await scene.redis.start();
      return [before, refused, form503, await scene.fate(await postAgain(scene))];
    }),
};

const convex: Outage = {
  outage: 'Convex down',
  expected: ['ready', '202', 'waits for METADATA_UNAVAILABLE, 0 attempts spent', 'ready'],
  run: () =>
    staged(async (scene) => {
      const before = await scene.fate(await scene.post());
      await scene.deployment.engine.kill();
      const accepted = await scene.post();
      const waits = await waiting(scene, accepted);
      await scene.deployment.engine.start();
      return [before, String(accepted.status), waits, await scene.fate(accepted)];
    }),
};

const storeDown: Outage = {
  outage: 'the store down (Ceph RGW behind a cut wire)',
  expected: ['ready', '503 STORE_UNAVAILABLE', '202', 'waits for STORE_UNAVAILABLE, 0 attempts spent', 'ready'],
  async run() {
    const rgw = await startRgw();
    const { hostname: host, port } = new URL(rgw.endpoint);
    const wire = await openTcpProxy({ host, port: Number(port) });
    const env = { ...rgw.env, S3_ENDPOINT_URL: `http://127.0.0.1:${wire.port}`, S3_FORCE_PATH_STYLE: 'true' };
    try {
      return await staged(
        async (scene) => {
          const path = { origin: { kind: 'path', path: 'clip.py' } };
          const before = await scene.fate(await scene.post(path));
          await wire.cut();
          const refused = await scene.verdict(await scene.send('/v1/uploads/files', form(100)));
          const accepted = await scene.post(path);
          const waits = await waiting(scene, accepted);
          await wire.mend();
          return [before, refused, String(accepted.status), waits, await scene.fate(accepted)];
        },
        { env, prepare: (_redis, dir) => writeFile(join(dir, 'files/clip.py'), 'print(1)') },
      );
    } finally {
      await wire.close();
      await rgw.stop();
    }
  },
};

const MIB = 1024 ** 2;
const diskFull: Outage = {
  outage: 'the disk full (a file system of 8 MiB)',
  expected: ['ready', '503 STORE_FULL', '202', 'waits for STORE_FULL, 0 attempts spent', 'ready'],
  run: () =>
    staged(
      async (scene) => {
        const path = { assetType: 'video_chunk', filename: 'a.bin', origin: { kind: 'path', path: 'clip.bin' } };
        const before = await scene.fate(await scene.post());
        const hog = join(scene.deployment.dir, 'objects/hog');
        await writeFile(hog, Buffer.alloc(6 * MIB));
        const refused = await scene.verdict(await scene.send('/v1/uploads/files', form(4 * MIB)));
        const accepted = await scene.post(path);
        const waits = await waiting(scene, accepted);
        await rm(hog);
        return [before, refused, String(accepted.status), waits, await scene.fate(accepted)];
      },
      {
        async prepare(_redis, dir) {
          await mkdir(join(dir, 'objects'));
          await exec('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', join(dir, 'objects')]);
          await writeFile(join(dir, 'files/clip.bin'), Buffer.alloc(4 * MIB, 'x'));
        },
        cleanUp: async (dir) => void (await exec('umount', [join(dir, 'objects')])),
      },
    ),
};

/** The outages that redis-server and npm suffice for, and those that want Ceph or a mount. */
export const OUTAGES: readonly Outage[] = [redisAtStart, redisLater, convex];
export const HEAVY_OUTAGES: readonly Outage[] = [storeDown, diskFull];
