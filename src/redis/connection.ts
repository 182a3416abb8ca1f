import { Cluster, Redis } from 'ioredis';
import { AppError } from '#errors';
import { redisAddress } from './address.ts';
import { BLOCKING, clusterOptions, type RedisRole, type RedisTrust, redisOptions } from './options.ts';

export type { RedisRole } from './options.ts';

/** One Redis, or a Cluster of them; what is stored of one thing shares a hash tag, so both are used alike. */
export type RedisConnection = Redis | Cluster;

/**
 * A connection to what `url` names (`parseRedisUrl`), which keeps trying to (re)connect, every 2 s at the most, and
 * follows a failover to the new master. Close it with `quit()` or `disconnect()`. Throws a plain `Error` for a URL that
 * is of no known form.
 */
export function connectRedis(
  url: string,
  role: RedisRole,
  onError: (error: Error) => void,
  trust: RedisTrust = {},
): RedisConnection {
  const address = redisAddress(url);
  const redis =
    address.kind === 'cluster'
      ? connectCluster(new Cluster([...address.hosts], clusterOptions(address, role, trust)))
      : new Redis(redisOptions(address, role, trust));
  redis.on('error', onError);
  return redis;
}

/** Each node is connected when it turns up: a caller's command fails on one that is only connecting by then. */
function connectCluster(cluster: Cluster): Cluster {
  return cluster.on('+node', (node: Redis) => {
    node.connect().catch(() => undefined);
  });
}

/**
 * Resolves once the connection has been made; what a process does before its first command. Throws `QUEUE_UNAVAILABLE`,
 * saying why, at once when Redis refuses who we are or we refuse who it is, and after `timeoutMs` when nobody answers:
 * then with `details.away`.
 */
export async function whenConnected(redis: RedisConnection, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let last: Error | undefined;
  const note = (error: Error) => {
    // A Cluster says of each node why it cannot be reached, and of all of them only that none can.
    const reason = reasonOf(error);
    if (!last || reason.message !== 'Connection is closed.') last = reason;
    const refusal = refusalOf(last);
    if (refusal) reject(new AppError('QUEUE_UNAVAILABLE', refusal, { cause: last }));
  };
  const timer = setTimeout(() => {
    const reason = last ? `: ${last.message || ('code' in last ? last.code : last.name)}` : '';
    reject(
      new AppError('QUEUE_UNAVAILABLE', `Redis did not answer within ${timeoutMs / 1_000} s${reason}.`, {
        ...{ cause: last, details: { away: true } },
      }),
    );
  }, timeoutMs);
  const ready = () => resolve(nodesReady(redis));
  redis.once('ready', ready).on('error', note).on('node error', note);
  await promise.finally(() => {
    clearTimeout(timer);
    redis.off('ready', ready).off('error', note).off('node error', note);
  });
}

/** A Cluster is ready before the connections to its masters are. */
async function nodesReady(redis: RedisConnection): Promise<void> {
  if (redis instanceof Cluster) await Promise.allSettled(redis.nodes('master').map((node) => node.ping()));
}

/** A Cluster says that no node answers, and keeps the words of the last one. */
function reasonOf(error: Error & { lastNodeError?: unknown }): Error {
  return error.lastNodeError instanceof Error ? error.lastNodeError : error;
}

/** Codes of OpenSSL and Node for a certificate that is not to be trusted. */
const UNTRUSTED =
  /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_|ERR_TLS_CERT_ALTNAME_INVALID)/;

/** What waiting does not mend, in a sentence for the person who set the variables. */
function refusalOf({ message, code }: Error & { code?: string }): string | undefined {
  if (/WRONGPASS|NOAUTH|NOPERM|invalid password/.test(message)) {
    return `Redis refuses the login: ${message}. Correct user and password in REDIS_URL, or the rights of the user.`;
  }
  if (/DB index is out of range|SELECT is not allowed/.test(message)) {
    return `Redis has no such database: ${message}. Correct the number at the end of REDIS_URL.`;
  }
  if (code !== undefined && UNTRUSTED.test(code)) {
    return `The certificate of Redis is not trusted: ${message}. Name its CA in REDIS_TLS_CA, and its host as the certificate does.`;
  }
  return undefined;
}

/** What any failure of Redis becomes for our callers; its own words are for the log. */
export function queueUnavailable(cause: unknown): AppError {
  const refusal = cause instanceof Error ? refusalOf(cause) : undefined;
  const answered = cause instanceof Error && cause.name === 'ReplyError';
  const message = refusal ?? (answered ? 'Redis refused the command.' : 'Redis is away.');
  return new AppError('QUEUE_UNAVAILABLE', message, { cause });
}

/** For commands that wait for their answer, to where `redis` leads, whatever its role; what it is closed by is up to the caller. */
export function openBlocking(redis: RedisConnection): RedisConnection {
  return redis instanceof Cluster
    ? redis.duplicate(undefined, { lazyConnect: true, enableOfflineQueue: true, redisOptions: BLOCKING })
    : redis.duplicate(BLOCKING);
}

/** One more connection to where `redis` leads, of the same role; what it is closed by is up to the caller. */
export function anotherConnection(redis: RedisConnection): RedisConnection {
  return redis instanceof Cluster ? connectCluster(redis.duplicate()) : redis.duplicate();
}

/** A connection of its own for pub/sub, to where `redis` leads. It does not subscribe again by itself: on `ready` its owner does. */
export function openSubscriber(redis: RedisConnection): RedisConnection {
  const options = { autoResubscribe: false };
  return redis instanceof Cluster ? redis.duplicate(undefined, { redisOptions: options }) : redis.duplicate(options);
}
