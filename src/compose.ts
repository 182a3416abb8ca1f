import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createBreakerBoard } from '#breakers/board.ts';
import { type Breakers, DEPENDENCIES, guardPorts } from '#breakers/breakers.ts';
import { createLastKnown, type LastKnown } from '#cache/last-known.ts';
import { createUrlCache, type UrlCache } from '#cache/url-cache.ts';
import type { Config } from '#config';
import { AppError, toAppError } from '#errors';
import { createLogger, type Logger } from '#log';
import { type AuditLog, createAuditLog } from '#metadata/audit-log.ts';
import { createConvexMetadata } from '#metadata/convex.ts';
import { createFlags, type Flags } from '#metadata/flags.ts';
import type { AssetRow, Metadata } from '#metadata/metadata.ts';
import { deriveSecret, loadSigningKey, type SigningKey, serviceTokens } from '#metadata/service-token.ts';
import { createStatusOutbox, type StatusOutbox } from '#metadata/status-outbox.ts';
import { rowOf } from '#metadata/status-row.ts';
import { createMetrics, type Metrics } from '#metrics';
import { createProducer, type Producer } from '#queues/producer.ts';
import { readCertificates } from '#redis/certificates.ts';
import type { RedisConnection } from '#redis/connection.ts';
import { connectRedis, type RedisRole, whenConnected } from '#redis/connection.ts';
import { type Keep, openReplicas } from '#redis/replicas.ts';
import { downloadName } from '#storage/keys.ts';
import { openStore } from '#storage/open.ts';
import type { Store } from '#storage/store.ts';

/** Everything a process is made of, built once from its configuration. */
export interface Composed {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly signingKey: SigningKey;
  readonly redis: RedisConnection;
  readonly store: Store;
  readonly metadata: Metadata;
  /** Of store and metadata, which have them before them. */
  readonly breakers: Breakers;
  readonly outbox: StatusOutbox;
  readonly audit: AuditLog;
  readonly flags: Flags;
  readonly lastKnown: LastKnown<AssetRow>;
  readonly producer: Producer;
  readonly keep: Keep;
  readonly urlCache: UrlCache;
  /** Secret of the URLs that the disk store signs and the API serves. */
  readonly urlSecret: Buffer;
  close(): Promise<void>;
}

/** How long a starting process waits for Redis before it goes on without, in milliseconds. */
const CONNECT_WITHIN = 3_000;

/**
 * Builds a process named `name`. `role` says how it meets an absent Redis. Throws when the signing key
 * cannot be read, or Redis refuses us; one that is away is gone on without, until it comes.
 */
export async function compose(config: Config, name: string, role: RedisRole): Promise<Composed> {
  const log = createLogger(config, name);
  const metrics = createMetrics();
  const signingKey = await loadSigningKey(config.signingKey);
  const urlSecret = deriveSecret(signingKey, 'object-urls');
  const onError = (doing: string) => (error: unknown) => log.warn({ code: toAppError(error).code, err: error }, doing);

  const ca = config.redis.tlsCa === undefined ? undefined : await readCertificates(config.redis.tlsCa);
  const redis = connectRedis(config.redis.url, role, onError('Redis is not answering'), { ca });
  await whenConnected(redis, CONNECT_WITHIN).catch((error: unknown) => {
    if (!(error instanceof AppError && error.details.away)) throw error;
    log.warn({ err: error }, 'Redis is away; started without it');
  });
  const { prefix } = config.redis;

  const guarded = guardPorts({
    store: await openStore(config.store, { urlSecret, clock: Date.now }),
    metadata: createConvexMetadata({
      url: config.convexUrl,
      token: serviceTokens(signingKey),
      onMutation: (mutation) => metrics.convexMutations.inc({ function: mutation }),
    }),
    ...{ board: createBreakerBoard(redis, prefix), process: `${name} ${process.pid}@${hostname()}`, clock: Date.now },
    onChange(dependency, isOpen) {
      metrics.breakerOpen.set({ dependency }, Number(isOpen));
      log.warn({ dependency }, isOpen ? 'Calls are refused at once: it is away' : 'Calls pass again');
    },
    onError: onError('Open breakers could not be shown'),
  });
  const { store, metadata, breakers } = guarded;
  showAllClosed(redis, metrics);
  const outbox = createStatusOutbox({
    ...{ redis, prefix, metadata },
    onError: onError('The status outbox could not be flushed'),
  });
  const replicas = openReplicas(redis, prefix, config.redis.minReplicas);
  const producer = createProducer({
    keep: replicas.keep,
    ...{ redis, prefix, limits: config.backlog, clock: Date.now },
    onError: onError('A queue had an error'),
  });
  const audit = createAuditLog({
    ...{ redis, prefix, metadata, clock: Date.now, newId: randomUUID },
    onError: onError('The audit could not be flushed'),
    onRefused: (entry, err) =>
      log.error({ entry, err }, 'Convex refused an entry of the audit; this line is all of it'),
  });
  const flags = createFlags({
    ...{ metadata, environment: config.environment, clock: Date.now },
    onError: onError('The flags could not be read'),
  });
  const lastKnown = createLastKnown<AssetRow>({
    ...{ redis, prefix, clock: Date.now },
    waiting: async (assetId) => {
      const update = await outbox.get(assetId);
      return update && rowOf(update);
    },
    end: producer.getFileEnd,
    onError: (error, doing) => onError(`Redis failed at ${doing}`)(error),
  });
  const urlCache = createUrlCache({
    redis,
    prefix,
    publicUrl: config.publicUrl,
    publicBaseUrl: config.urls.publicBaseUrl,
    memory: { max: 50_000, ttlMs: 30_000 },
    clock: Date.now,
    async load(assetIds) {
      const rows = await metadata.getAssets(assetIds);
      lastKnown.note(rows);
      return rows;
    },
    recall: lastKnown.recall,
    forget: lastKnown.forget,
    sign: ({ s3Key, ...entry }, { download }) =>
      store.signGet(s3Key, {
        expiresInSeconds: config.urls.expiresSeconds,
        filename: downloadName({ ...entry, scene: entry.entity.scene }),
        download,
      }),
    onError: (error, doing) => onError(`The URL cache failed at ${doing}`)(error),
  });

  return {
    config,
    log,
    metrics,
    signingKey,
    redis,
    store,
    metadata,
    breakers,
    outbox,
    audit,
    flags,
    lastKnown,
    producer,
    keep: replicas.keep,
    urlCache,
    urlSecret,
    async close() {
      guarded.close();
      await Promise.all([urlCache.close(), producer.close()]);
      await store.close();
      replicas.close();
      redis.disconnect();
    },
  };
}

/** What the metrics say from the start. Redis needs no breaker: its clients know whether they are connected. */
function showAllClosed(redis: RedisConnection, { breakerOpen }: Metrics): void {
  for (const dependency of DEPENDENCIES) breakerOpen.set({ dependency }, 0);
  const show = (isReady: boolean) => breakerOpen.set({ dependency: 'queue' }, Number(!isReady));
  show(redis.status === 'ready');
  redis.on('ready', () => show(true)).on('close', () => show(false));
}
