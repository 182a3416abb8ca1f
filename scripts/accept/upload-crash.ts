import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { createClient } from '#client/client.ts';
import { type Deployment, openDeployment, type Process } from '#test/deployment.ts';
import { startRedis } from '#test/redis.ts';
import { startRgw } from '#test/rgw.ts';
import { openTcpProxy } from '#test/tcp-proxy.ts';
import { until } from '#test/until.ts';
import { atMost, type Chapter, equal, type Figure } from './figures.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const FILM = 1_024 * MIB;
const SCENE = { project: 'demo', session: 'film', scene: 'crashed' } as const;

/** A film whose worker is killed with half of it stored; what goes to the store is counted outside of the workers. */
export const uploadCrash: Chapter = {
  name: 'upload-crash',
  command:
    'POST /v1/uploads of a path (1 GiB), kill -9 of the worker at half, and another worker: to disk, and to Ceph RGW',
  run: async () => [...(await onDisk(FILM)), ...(await onRgw(FILM))],
};

/** What a worker's bytes are counted by. */
interface Meter {
  /** Bytes of the upload that this worker handed to the store. */
  bytes(): Promise<number>;
  /** Whether it has begun to. */
  hasBegun(): Promise<boolean>;
}

interface Site {
  readonly name: string;
  readonly deployment: Deployment;
  startWorker(): Promise<{ worker: Process; meter: Meter }>;
  openUploads(): Promise<number>;
}

/** The figures for the disk store; what Linux says of a worker's writes counts. */
export async function onDisk(bytes: number): Promise<Figure[]> {
  return withDeployment({}, (deployment) => {
    const uploads = join(deployment.dir, 'objects/uploads');
    const lastWritten = async () => {
      const found = await Promise.all((await readdir(uploads)).map((name) => stat(join(uploads, name))));
      return Math.max(0, ...found.map(({ mtimeMs }) => mtimeMs));
    };
    const startWorker = async () => {
      const begun = Date.now();
      const worker = await deployment.startWorker();
      return {
        worker,
        meter: { bytes: () => written(worker.pid), hasBegun: async () => (await lastWritten()) > begun },
      };
    };
    const openUploads = async () => (await readdir(uploads)).length;
    return crashed({ name: 'disk', deployment, startWorker, openUploads }, bytes);
  });
}

/** The figures for a real S3; a wire of its own before each worker counts. */
async function onRgw(bytes: number): Promise<Figure[]> {
  const rgw = await startRgw({ objectStore: 'bluestore', bytes: 6 * 1024 * MIB });
  const { hostname: host, port } = new URL(rgw.endpoint);
  const proxies: { close(): Promise<void> }[] = [];
  const client = new S3Client({
    ...{ endpoint: rgw.endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: {
      ...{ accessKeyId: rgw.env.AWS_ACCESS_KEY_ID ?? '', secretAccessKey: rgw.env.AWS_SECRET_ACCESS_KEY ?? '' },
    },
  });
  try {
    return await withDeployment(rgw.env, (deployment) => {
      const startWorker = async () => {
        const proxy = await openTcpProxy({ host, port: Number(port) });
        proxies.push(proxy);
        const worker = await deployment.startWorker({ S3_ENDPOINT_URL: `http://127.0.0.1:${proxy.port}` });
        const hasBegun = async () => proxy.inFlight().some(({ head }) => head.includes('partNumber='));
        return { worker, meter: { bytes: async () => proxy.tally.toServer, hasBegun } };
      };
      const openUploads = async () => {
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: rgw.bucket }));
        return Uploads.length;
      };
      return crashed({ name: 'RGW', deployment, startWorker, openUploads }, bytes);
    });
  } finally {
    client.destroy();
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await rgw.stop();
  }
}

async function withDeployment(
  env: NodeJS.ProcessEnv,
  work: (deployment: Deployment) => Promise<Figure[]>,
): Promise<Figure[]> {
  const redis = await startRedis();
  const deployment = await openDeployment(redis.url, env);
  try {
    return await work(deployment);
  } finally {
    await deployment.remove();
    await redis.stop();
  }
}

async function crashed({ name, deployment, startWorker, openUploads }: Site, bytes: number): Promise<Figure[]> {
  const film = join(deployment.dir, 'files/film.mp4');
  await mkdir(join(deployment.dir, 'files'));
  await run('dd', ['if=/dev/urandom', `of=${film}`, 'bs=1M', `count=${bytes / MIB}`, 'status=none']);
  const api = await deployment.startApi();
  const first = await startWorker();
  const client = createClient({ apiUrl: api.url, key: deployment.agentKey });
  const { batchId } = await client.uploadFiles({
    ...SCENE,
    files: [{ assetType: 'video_chunk', filename: 'film.mp4', origin: { kind: 'path', path: film } }],
  });
  const isHalf = async () => (await first.meter.bytes()) >= bytes / 2;
  await until(isHalf, { within: 300_000, every: 1, what: 'half of the film to be stored' });
  // Held for the moment in which its bytes are read.
  process.kill(first.worker.pid, 'SIGSTOP');
  const before = await first.meter.bytes();
  await first.worker.kill();
  const killedAt = performance.now();
  const second = await startWorker();
  await until(second.meter.hasBegun, { within: 60_000, every: 1, what: 'the next worker to go on' });
  const seconds = (performance.now() - killedAt) / 1_000;
  const batch = await client.waitForBatch(batchId);
  const after = await second.meter.bytes();
  const { assets } = await client.listAssets(SCENE, { history: true });
  const { stdout } = await run('sha256sum', [film]);
  const resent = before + after - bytes;
  return [
    { what: `${name}: MiB stored at the kill`, figure: (before / MIB).toFixed(1), goal: '(none)', met: before < bytes },
    atMost(`${name}: from the kill to the next byte of the upload`, seconds, 15, 's'),
    { what: `${name}: MiB sent after the kill`, figure: (after / MIB).toFixed(1), goal: '(none)', met: true },
    atMost(`${name}: sent twice, of the film`, (100 * resent) / bytes, 5, '%'),
    equal(`${name}: files ready`, batch.successful.length, 1),
    equal(`${name}: versions`, assets.length, 1),
    equal(`${name}: checksum in Convex is sha256sum’s`, String(assets[0]?.checksum === stdout.split(' ')[0]), 'true'),
    equal(`${name}: uploads left open`, await openUploads(), 0),
  ];
}

/** Bytes that a process gave to the kernel, for files and connections alike. Linux only. */
async function written(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8');
  return Number(/^wchar: (\d+)$/m.exec(io)?.[1]);
}
