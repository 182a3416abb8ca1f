import { randomBytes } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newApiKey } from '#api/api-key.ts';
import type { ApiKey, AssetRow } from '#metadata/metadata.ts';
import { openStore } from '#storage/open.ts';
import type { Store } from '#storage/store.ts';
import { type Deployment, openDeployment, type Process } from '../deployment.ts';
import { type RawServer, serveRaw } from '../raw-server.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { until } from '../until.ts';
import { mkfifo } from './mkfifo.ts';
import { talk } from './origin.ts';

/** API and worker as processes of their own, with everything that bad input may point at. */
export interface Bench {
  readonly api: Process;
  readonly deployment: Deployment;
  readonly redis: TestRedis;
  /** The store that API and worker share. */
  readonly store: Store;
  /** Base URL of a server on which every path misbehaves in its own way. */
  readonly origin: string;
  /** Makes a key; gives it as a caller sends it. */
  key(fields: Partial<Pick<ApiKey, 'scopes' | 'projects' | 'expiresAt' | 'revokedAt'>>): Promise<string>;
  /** Sends a request with the key of an agent that may do everything, unless the headers say otherwise. */
  send(path: string, init?: RequestInit): Promise<Response>;
  /** Posts one file and gives what became of it: what the door said, or how its row ended. */
  upload(file: object, own?: object): Promise<string>;
  /** What the door said: status and code. */
  verdict(response: Response): Promise<string>;
  /** What became of the first file of an accepted request: `ready` or `error <code>`. */
  fate(response: Response): Promise<string>;
  close(): Promise<void>;
}

/** A try that only waits is cut short by these: a stall ends after 2 s. */
const IMPATIENT = { URL_ORIGIN_MAX_SECONDS: '2', URL_ORIGIN_MAX_BYTES: '1000000' };
/** The one address of this machine that URLs may lead to. */
const ORIGIN_HOST = '127.9.9.9';
const ENDS_WITHIN = 60_000;
export const SCENE = { project: 'demo', session: 's-1', scene: 'scene-1' };

export async function openBench(): Promise<Bench> {
  const redis = await startRedis();
  const server = await serveRaw(talk, ORIGIN_HOST);
  const deployment = await openDeployment(redis.url, {
    ...IMPATIENT,
    ...{ URL_ORIGIN_PORTS: `80,443,${server.port}`, URL_ORIGIN_ALLOW_CIDRS: `${ORIGIN_HOST}/32` },
  });
  await furnish(deployment.dir);
  const [api] = await Promise.all([deployment.startApi(), deployment.startWorker()]);
  const store = openStore(
    { kind: 'disk', dir: join(deployment.dir, 'objects') },
    { urlSecret: Buffer.alloc(32), clock: Date.now },
  );
  return bench({ redis, server, deployment, api, store });
}

/** What paths lead to. `files` is the root that may be read; `secret.txt` lies beside it. */
async function furnish(dir: string): Promise<void> {
  const root = join(dir, 'files');
  await mkdir(join(root, 'folder'), { recursive: true });
  await Promise.all([
    writeFile(join(root, 'good.py'), 'print(1)'),
    writeFile(join(root, 'empty.py'), ''),
    writeFile(join(dir, 'secret.txt'), 'secret'),
    symlink(join(dir, 'secret.txt'), join(root, 'link.txt')),
    symlink(dir, join(root, 'up')),
    symlink('/dev/zero', join(root, 'zero')),
    mkfifo(join(root, 'fifo')),
  ]);
}

interface Parts extends Pick<Bench, 'redis' | 'deployment' | 'api' | 'store'> {
  readonly server: RawServer;
}

function bench({ server, ...parts }: Parts): Bench {
  const { deployment, api, redis, store } = parts;
  const send: Bench['send'] = (path, init = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${deployment.agentKey}`);
    return fetch(api.url + path, { ...init, headers });
  };
  const verdict: Bench['verdict'] = async (response) => {
    const { error } = (await response.json()) as { error?: { code: string } };
    return error ? `${response.status} ${error.code}` : String(response.status);
  };
  const fate: Bench['fate'] = async (response) => {
    if (response.status !== 202) return verdict(response);
    const { jobs } = (await response.json()) as { jobs: { files: { assetId: string }[] }[] };
    const assetId = jobs[0]?.files[0]?.assetId ?? '';
    const ended = async (): Promise<AssetRow | undefined> => {
      const [row] = await deployment.metadata.getAssets([assetId]);
      return row?.status === 'ready' || row?.status === 'error' ? row : undefined;
    };
    const row = await until(ended, { within: ENDS_WITHIN, what: `the end of ${assetId}`, every: 100 });
    return row.error ? `${row.status} ${row.error.code}` : row.status;
  };
  return {
    ...parts,
    ...{ send, verdict, fate, origin: `http://${ORIGIN_HOST}:${server.port}` },
    async key({ revokedAt, ...fields }) {
      const made = newApiKey(randomBytes, {
        ...{ name: 'test', scopes: ['assets:read', 'assets:write'], createdAt: Date.now(), ...fields },
      });
      await deployment.metadata.putApiKey(revokedAt === undefined ? made.record : { ...made.record, revokedAt });
      return made.key;
    },
    async upload(file, own = {}) {
      const given = { assetType: 'source_code', filename: 'a.py', ...file };
      const body = JSON.stringify({ ...SCENE, files: [given], ...own });
      return fate(await send('/v1/uploads', { method: 'POST', headers: { 'content-type': 'application/json' }, body }));
    },
    async close() {
      await deployment.remove();
      await Promise.all([redis.stop(), server.close(), store.close()]);
    },
  };
}
