import { type Cluster, Redis, type RedisOptions } from 'ioredis';
import { AppError } from '#errors';

/** One Redis, or a Cluster of them; what is stored of one thing shares a hash tag, so both are used alike. */
export type RedisConnection = Redis | Cluster;

/**
 * How a process talks to Redis. A `caller` (API, cache) fails at once while Redis is away, so that it can
 * say so; a `worker` waits for it to come back.
 */
export type RedisRole = 'caller' | 'worker';

const ROLES = {
  caller: { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 3_000, connectTimeout: 2_000 },
  worker: { maxRetriesPerRequest: null },
} satisfies Record<RedisRole, RedisOptions>;

/** A connection that keeps trying to (re)connect, every 2 s at the most. Close it with `quit()` or `disconnect()`. */
export function connectRedis(url: string, role: RedisRole, onError: (error: Error) => void): RedisConnection {
  const redis = new Redis(url, { ...ROLES[role], retryStrategy: (times: number) => Math.min(times * 100, 2_000) });
  redis.on('error', onError);
  return redis;
}

/** Resolves once the connection has been made; what a process does before its first command. Waits at most `timeoutMs`. */
export async function whenConnected(redis: RedisConnection, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(queueUnavailable(new Error(`no connection within ${timeoutMs} ms`))),
    timeoutMs,
  );
  redis.once('ready', resolve);
  await promise.finally(() => {
    clearTimeout(timer);
    redis.off('ready', resolve);
  });
}

/** What any failure of Redis becomes for our callers; its own words are for the log. */
export function queueUnavailable(cause: unknown): AppError {
  const answered = cause instanceof Error && cause.name === 'ReplyError';
  return new AppError('QUEUE_UNAVAILABLE', answered ? 'Redis refused the command.' : 'Redis is away.', { cause });
}

/** A connection of its own for pub/sub, to where `redis` leads. It does not subscribe again by itself: on `ready` its owner does. */
export function openSubscriber(redis: RedisConnection): RedisConnection {
  const options = { autoResubscribe: false };
  return redis.isCluster
    ? (redis as Cluster).duplicate(undefined, { redisOptions: options })
    : (redis as Redis).duplicate(options);
}
