import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createBreakerBoard } from '#breakers/board.ts';
import { guardPorts } from '#breakers/breakers.ts';
import { createUrlCache, type UrlCache } from '#cache/url-cache.ts';
import { type Config, readConfig } from '#config';
import { createLogger } from '#log';
import { createAuditLog } from '#metadata/audit-log.ts';
import { createConvexMetadata } from '#metadata/convex.ts';
import { createStatusOutbox } from '#metadata/status-outbox.ts';
import { createMetrics } from '#metrics';
import type { WorkerPorts } from '#processors/start.ts';
import { createProducer } from '#queues/producer.ts';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { createDiskStore } from '#storage/disk.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { startRedis, type TestRedis } from './redis.ts';

/** A real Redis, an embedded Convex and a disk store, composed as a worker's process has them. */
export interface WorkerParts extends WorkerPorts {
  readonly config: Config;
  readonly engine: TestEngine;
  readonly server: TestRedis;
  readonly urlCache: UrlCache;
  readonly dir: string;
  /** Puts bytes under `staging/`, as intake does. */
  stage(key: string, bytes: Buffer): Promise<void>;
  /** Ends the servers and removes the folder; the worker was closed before. */
  remove(): Promise<void>;
}

interface WorkerPartsOptions {
  /** Variables besides those that a test needs anyway. */
  readonly env?: NodeJS.ProcessEnv;
  /** Another process over the same Redis, Convex and folder; that one removes them. */
  readonly beside?: Pick<WorkerParts, 'server' | 'engine' | 'dir'>;
  /** With the breakers before store and Convex, as in production, that ask five times a second. */
  readonly guarded?: boolean;
}

export async function openWorkerParts({ env, beside, guarded }: WorkerPartsOptions = {}): Promise<WorkerParts> {
  const [server, engine, dir] = await Promise.all([
    beside?.server ?? startRedis(),
    beside?.engine ?? startEngine(),
    beside?.dir ?? mkdtemp(join(tmpdir(), 'reelay-worker-')),
  ]);
  const config = readConfig({
    ...{ REELAY_DATA: dir, METRICS_PORT: '0', UPLOAD_ROOTS: dir, LOG_LEVEL: 'silent' },
    ...{ REDIS_URL: server.url, REDIS_PREFIX: 'worker', CONVEX_URL: engine.url },
    ...env,
  });
  const redis = connectRedis(server.url, 'worker', () => undefined);
  await whenConnected(redis, 10_000);
  const own = {
    metadata: createConvexMetadata({ url: engine.url, token: engine.token, mutationTimeoutMs: 2_000 }),
    store: createDiskStore({ dir: join(dir, 'store'), urlSecret: Buffer.alloc(32, 1), clock: Date.now }),
  };
  const withBreakers = guardPorts({
    ...own,
    ...{ board: createBreakerBoard(redis, config.redis.prefix), process: randomUUID(), clock: Date.now },
    ...{ onChange: () => undefined, onError: () => undefined, probeEveryMs: 200 },
  });
  const { store, metadata } = guarded ? withBreakers : own;
  const producer = createProducer({
    ...{ redis, prefix: config.redis.prefix, limits: config.backlog, clock: Date.now },
    onError: () => undefined,
  });
  const urlCache = createUrlCache({
    ...{ redis, prefix: config.redis.prefix, clock: Date.now, onError: () => undefined },
    ...{ publicUrl: config.publicUrl, publicBaseUrl: undefined, memory: { max: 100, ttlMs: 30_000 } },
    load: (assetIds) => metadata.getAssets(assetIds),
    recall: async () => new Map(),
    forget: async () => undefined,
    sign: ({ s3Key }) => store.signGet(s3Key, { expiresInSeconds: 60 }),
  });
  return {
    ...{ config, engine, server, dir, redis, metadata, store, producer, breakers: withBreakers.breakers, urlCache },
    log: createLogger(config, 'test'),
    metrics: createMetrics(),
    outbox: createStatusOutbox({ redis, prefix: config.redis.prefix, metadata }),
    audit: createAuditLog({
      ...{ redis, prefix: config.redis.prefix, metadata, clock: Date.now, newId: randomUUID },
      ...{ onError: () => undefined, onRefused: () => undefined },
    }),
    async stage(key, bytes) {
      const source = { size: bytes.length, open: async (offset: number) => Readable.from([bytes.subarray(offset)]) };
      await store.put(key, source, { contentType: 'application/octet-stream' });
    },
    async close() {
      await Promise.all([urlCache.close(), producer.close()]);
      redis.disconnect();
    },
    async remove() {
      await Promise.all([server.stop(), engine.stop()]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
