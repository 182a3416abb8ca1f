import { randomBytes } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newApiKey } from '#api/api-key.ts';
import type { ApiKey } from '#metadata/metadata.ts';
import { openStore } from '#storage/open.ts';
import type { Store } from '#storage/store.ts';
import { type Deployment, openDeployment, type Process } from '../deployment.ts';
import { type RawServer, serveRaw } from '../raw-server.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { type Door, openDoor } from './door.ts';
import { mkfifo } from './mkfifo.ts';
import { talk } from './origin.ts';

/** API and worker as processes of their own, with everything that bad input may point at. */
export interface Bench extends Door {
  readonly api: Process;
  readonly deployment: Deployment;
  readonly redis: TestRedis;
  /** The store that API and worker share. */
  readonly store: Store;
  /** Base URL of a server on which every path misbehaves in its own way. */
  readonly origin: string;
  /** Makes a key; gives it as a caller sends it. */
  key(fields: Partial<Pick<ApiKey, 'scopes' | 'projects' | 'expiresAt' | 'revokedAt'>>): Promise<string>;
  close(): Promise<void>;
}

/** A try that only waits is cut short by these: a stall ends after 2 s. */
const IMPATIENT = { URL_ORIGIN_MAX_SECONDS: '2', URL_ORIGIN_MAX_BYTES: '1000000' };
/** The one address of this machine that URLs may lead to. */
const ORIGIN_HOST = '127.9.9.9';
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

/** A picture of one pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** What paths lead to. `files` is the root that may be read; `secret.txt` lies beside it. */
async function furnish(dir: string): Promise<void> {
  const root = join(dir, 'files');
  await mkdir(join(root, 'folder'), { recursive: true });
  await Promise.all([
    writeFile(join(root, 'good.py'), 'print(1)'),
    writeFile(join(root, 'empty.py'), ''),
    writeFile(join(root, 'film.mp4'), Buffer.from(PNG, 'base64')),
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
  return {
    ...parts,
    ...openDoor(api, deployment),
    ...{ origin: `http://${ORIGIN_HOST}:${server.port}` },
    async key({ revokedAt, ...fields }) {
      const made = newApiKey(randomBytes, {
        ...{ name: 'test', scopes: ['assets:read', 'assets:write'], createdAt: Date.now(), ...fields },
      });
      await deployment.metadata.putApiKey(revokedAt === undefined ? made.record : { ...made.record, revokedAt });
      return made.key;
    },
    async close() {
      await deployment.remove();
      await Promise.all([redis.stop(), server.close(), store.close()]);
    },
  };
}
