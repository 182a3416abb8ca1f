import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newApiKey } from '#api/api-key.ts';
import { createApi } from '#api/app.ts';
import type { ApiPorts } from '#api/ports.ts';
import { serve } from '#api/serve.ts';
import { type BreakerBoard, createBreakerBoard } from '#breakers/board.ts';
import { createLastKnown } from '#cache/last-known.ts';
import { createUrlCache } from '#cache/url-cache.ts';
import { readConfig } from '#config';
import type { EntityRef } from '#domain';
import { toAppError } from '#errors';
import { createLogger, type Logger } from '#log';
import { createAuditLog } from '#metadata/audit-log.ts';
import { createConvexMetadata } from '#metadata/convex.ts';
import type { ApiKey, AssetRow } from '#metadata/metadata.ts';
import { generateSigningKey, loadSigningKey, signViewerToken, verifyViewerToken } from '#metadata/service-token.ts';
import { createStatusOutbox, type StatusOutbox } from '#metadata/status-outbox.ts';
import { rowOf } from '#metadata/status-row.ts';
import { createMetrics } from '#metrics';
import type { BacklogLimits } from '#queues/backlog.ts';
import { createProducer } from '#queues/producer.ts';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { verifyDiskUrl } from '#storage/disk-url.ts';
import { downloadName } from '#storage/keys.ts';
import { openStore } from '#storage/open.ts';
import { bytesSource } from '#storage/source.ts';
import type { Store } from '#storage/store.ts';
import { someCommit } from './asset-facts.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { startRedis, type TestRedis } from './redis.ts';

/** The API on a real Redis, a disk store and the embedded Convex; no worker. */
export interface TestApi extends Pick<ApiPorts, 'store' | 'metadata' | 'producer' | 'urlCache'> {
  readonly outbox: StatusOutbox;
  /** Where other processes' open breakers are shown. */
  readonly breakers: BreakerBoard;
  /** The routes themselves. */
  readonly app: ReturnType<typeof createApi>;
  readonly url: string;
  readonly redisServer: TestRedis;
  readonly redis: RedisConnection;
  readonly engine: TestEngine;
  /** A folder inside `UPLOAD_ROOTS`. */
  readonly root: string;
  readonly admin: { readonly user: string; readonly password: string };
  /** A new key that Convex knows, all of `assets:*` unless said otherwise. */
  key(fields?: Partial<Pick<ApiKey, 'scopes' | 'projects' | 'expiresAt' | 'revokedAt'>>): Promise<string>;
  /** A person's token; what they may see is up to `metadata.putMember`. */
  viewer(subject: string): Promise<string>;
  /** `fetch` with the key of an agent that may do everything. */
  call(path: string, init?: RequestInit): Promise<Response>;
  /** The same for JSON. */
  post(path: string, body: unknown): Promise<Response>;
  /** An asset that is stored and committed, as a worker leaves it; gives its id. */
  stored(entity: EntityRef, bytes: Buffer, own?: Parameters<typeof someCommit>[1]): Promise<string>;
  close(): Promise<void>;
}

export interface TestApiOptions {
  /** Another process over the same Redis, Convex and objects; it is closed before that one. */
  readonly beside?: TestApi;
  /** Signs URLs in place of the store. */
  readonly signer?: Pick<Store, 'signGet'>;
  readonly log?: Logger;
  readonly publicBaseUrl?: string | undefined;
  readonly closedBoard?: boolean;
  readonly backlog?: BacklogLimits;
  /** When files become ready; `each` unless said otherwise. */
  readonly commit?: 'each' | 'batch';
}

const UNBOUNDED: BacklogLimits = { jobs: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** Starts it on ports, folders and a prefix of its own. */
export async function startApi(options: TestApiOptions = {}): Promise<TestApi> {
  const [redisServer, engine, dir] = await Promise.all([
    options.beside?.redisServer ?? startRedis(),
    options.beside?.engine ?? startEngine(),
    mkdtemp(join(await realpath(tmpdir()), 'reelay-api-')),
  ]);
  const root = join(dir, 'files');
  await mkdir(root);
  const log = options.log ?? createLogger({ logLevel: 'silent' }, 'api');
  const redis = connectRedis(redisServer.url, 'caller', () => {});
  await whenConnected(redis, 10_000);
  const prefix = 'test';
  const signingKey = await loadSigningKey(generateSigningKey());
  const urlSecret = randomBytes(32);
  const store =
    options.beside?.store ?? openStore({ kind: 'disk', dir: join(dir, 'objects') }, { urlSecret, clock: Date.now });
  const metadata = createConvexMetadata({ url: engine.url, token: engine.token, mutationTimeoutMs: 5_000 });
  const breakers = createBreakerBoard(redis, prefix);
  const outbox = createStatusOutbox({ redis, prefix, metadata });
  const producer = createProducer({
    redis,
    prefix,
    limits: options.backlog ?? UNBOUNDED,
    clock: Date.now,
    onError: () => {},
  });
  const audit = createAuditLog({
    ...{ redis, prefix, metadata, clock: Date.now, newId: randomUUID },
    ...{ onError: () => {}, onRefused: () => {} },
  });
  const lastKnown = createLastKnown<AssetRow>({
    ...{ redis, prefix, clock: Date.now, end: producer.getFileEnd, onError: () => {} },
    waiting: async (assetId) => {
      const update = await outbox.get(assetId);
      return update && rowOf(update);
    },
  });
  const publicUrl = 'http://api.example';
  const urlCache = createUrlCache({
    ...{ redis, prefix, publicUrl, publicBaseUrl: options.publicBaseUrl, clock: Date.now },
    memory: { max: 1_000, ttlMs: 30_000 },
    async load(assetIds) {
      const rows = await metadata.getAssets(assetIds);
      lastKnown.note(rows);
      return rows;
    },
    recall: lastKnown.recall,
    forget: lastKnown.forget,
    sign: ({ s3Key, ...entry }, { download }) => {
      const filename = downloadName({ ...entry, scene: entry.entity.scene });
      return (options.signer ?? store).signGet(s3Key, { expiresInSeconds: 3_600, filename, download });
    },
    onError: (error, doing) => log.warn({ code: toAppError(error).code }, doing),
  });
  const admin = { user: 'admin', password: 'correct-horse' };
  const closing = new AbortController();
  const app = createApi({
    closing: closing.signal,
    ...{
      store,
      metadata,
      breakers,
      outbox,
      audit,
      lastKnown,
      producer,
      urlCache,
      log,
      metrics: createMetrics(),
      clock: Date.now,
    },
    config: {
      uploadRoots: [root],
      urlOrigins: readConfig({}).urlOrigins,
      commit: options.commit ?? 'each',
      ...{ publicUrl, urls: { publicBaseUrl: options.publicBaseUrl, expiresSeconds: 3_600 } },
      admin: options.closedBoard ? { user: 'admin', password: undefined } : admin,
    },
    verifyViewer: (token) => verifyViewerToken(signingKey, token),
    verifyDiskUrl: (pathAndQuery) => verifyDiskUrl(urlSecret, pathAndQuery, Date.now()),
  });
  const serving = await serve(app, { host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${serving.port}`;

  async function key({ revokedAt, ...fields }: Parameters<TestApi['key']>[0] = {}): Promise<string> {
    const facts = { name: 'test', scopes: ['assets:read', 'assets:write'] as const, createdAt: Date.now(), ...fields };
    const made = newApiKey(randomBytes, facts);
    await metadata.putApiKey(revokedAt === undefined ? made.record : { ...made.record, revokedAt });
    return made.key;
  }
  const agent = await key({ scopes: ['assets:read', 'assets:write', 'admin'] });
  const call: TestApi['call'] = (path, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${agent}`);
    return fetch(url + path, { ...init, headers });
  };

  return {
    ...{
      app,
      url,
      redisServer,
      redis,
      engine,
      root,
      admin,
      store,
      metadata,
      breakers,
      outbox,
      producer,
      urlCache,
      key,
      call,
    },
    viewer: (subject) => signViewerToken(signingKey, { subject, expiresIn: 600 }),
    post: (path, body) =>
      call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    async stored(entity, bytes, own = {}) {
      const commit = someCommit(entity, own);
      const { s3Key, contentType, filename } = commit.facts;
      const stored = await store.put(s3Key, bytesSource(bytes), { contentType, filename });
      const signed = await store.signGet(s3Key, { expiresInSeconds: 3_600, filename });
      const url = { s3Url: signed.url, urlExpiresAt: signed.expiresAt };
      const [result] = await metadata.commit([{ ...commit, stored, url }]);
      if (!result?.ok) throw new Error(`The commit failed: ${result?.error.message}`);
      return result.assetId;
    },
    async close() {
      closing.abort();
      await serving.close();
      await Promise.all([urlCache.close(), producer.close()]);
      redis.disconnect();
      if (!options.beside) await Promise.all([store.close(), redisServer.stop(), engine.stop()]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
