import type { ConnectionOptions } from 'node:tls';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import type { RedisAddress } from './address.ts';

/**
 * How a process talks to Redis. A `caller` (API, cache) fails at once while Redis is away, so that it can
 * say so; a `worker` waits for it to come back.
 */
export type RedisRole = 'caller' | 'worker';

/** Answers are shaped as they ever were: BullMQ and our scripts read them so. */
interface Plain {
  readonly replyMapping: 'legacy';
}

/** What of a connection is not in its URL. */
export interface RedisTrust {
  /** PEM of the CAs a server's certificate may come from; without it those of the system. */
  readonly ca?: string | undefined;
}

/**
 * Answers of a server that is no master now, or not with enough replicas: another one is, or it will be again. BullMQ
 * takes them for the failure of a job, so a worker's connection waits them out.
 */
const ELSEWHERE = /^(READONLY|MASTERDOWN|NOREPLICAS|LOADING)\b|-READONLY\b/;

/**
 * ioredis' words for what to do with such an answer: 1 makes a new connection, to the master of now; 2 also sends the
 * command again there. Only a READONLY is a sign that a caller is connected to the wrong server.
 */
const reconnectOnError: Record<RedisRole, NonNullable<RedisOptions['reconnectOnError']>> = {
  caller: ({ message }) => (/^READONLY\b|-READONLY\b/.test(message) ? 1 : false),
  worker: ({ message }) => (ELSEWHERE.test(message) ? 2 : false),
};

/**
 * `socketTimeout`: a server that owes an answer and says nothing for this long is taken for dead. It is longer than BullMQ's
 * longest blocking command (10 s) and a caller's `commandTimeout`.
 */
const ROLES = {
  caller: {
    replyMapping: 'legacy',
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 3_000,
    socketTimeout: 5_000,
    connectTimeout: 2_000,
    reconnectOnError: reconnectOnError.caller,
  },
  worker: {
    replyMapping: 'legacy',
    maxRetriesPerRequest: null,
    socketTimeout: 20_000,
    connectTimeout: 5_000,
    reconnectOnError: reconnectOnError.worker,
  },
} satisfies Record<RedisRole, RedisOptions & Plain>;

/** Of a connection for commands that wait for their answer: it connects when it is first used, and cuts no answer short. */
export const BLOCKING = {
  ...ROLES.worker,
  commandTimeout: undefined,
  enableOfflineQueue: true,
  lazyConnect: true,
} satisfies RedisOptions;

/** Milliseconds before attempt number `times` to reach a server. */
const between = (times: number): number => Math.min(times * 100, 2_000);
const SENTINEL_COMMAND_MS = 2_000;

/** Options for one server, or for the master that Sentinels know. */
export function redisOptions(
  address: Exclude<RedisAddress, { kind: 'cluster' }>,
  role: RedisRole,
  trust: RedisTrust,
): RedisOptions & Plain {
  const tls = tlsOptions(address, trust);
  const { username, password, db } = address;
  const common = { ...ROLES[role], retryStrategy: between, db, ...given({ username, password, tls }) };
  if (address.kind === 'standalone') return { ...common, ...address.hosts[0] };
  const { sentinel } = address;
  return {
    ...common,
    sentinels: [...address.hosts],
    name: address.master,
    sentinelRetryStrategy: between,
    sentinelCommandTimeout: SENTINEL_COMMAND_MS,
    ...given({ sentinelUsername: sentinel.username, sentinelPassword: sentinel.password }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  };
}

/** Pause before a worker sends again what a node could not take, and asks for the slots anew, in milliseconds. */
const WORKER_WAITS = { retryDelayOnFailover: 200, retryDelayOnClusterDown: 200, retryDelayOnMoved: 20 };
/** A caller says at once that the node of a slot is away. */
const CALLER_WAITS = { retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 };
const SLOTS_MS = 2_000;

/**
 * Options for a Cluster. A worker's command goes on trying until the Cluster has a master for its slot: giving up would
 * be a failed attempt to BullMQ.
 */
export function clusterOptions(
  address: Extract<RedisAddress, { kind: 'cluster' }>,
  role: RedisRole,
  trust: RedisTrust,
): ClusterOptions & { redisOptions: Plain } {
  const { enableOfflineQueue: _, ...node } = { enableOfflineQueue: true, ...ROLES[role] };
  const { username, password } = address;
  return {
    ...(role === 'worker' ? { ...WORKER_WAITS, maxRedirections: Number.POSITIVE_INFINITY } : CALLER_WAITS),
    enableOfflineQueue: role === 'worker',
    clusterRetryStrategy: between,
    slotsRefreshTimeout: SLOTS_MS,
    slotsRefreshInterval: SLOTS_MS,
    // Names stay names: a certificate is checked against what the URL and the nodes say.
    dnsLookup: (host, done) => done(null, host),
    redisOptions: { ...node, ...given({ username, password, tls: tlsOptions(address, trust) }) },
  };
}

function tlsOptions({ tls }: RedisAddress, { ca }: RedisTrust): ConnectionOptions | undefined {
  return tls ? { ...(ca && { ca }) } : undefined;
}

/** Without the fields that are not there: ioredis takes an undefined for a value of its own. */
function given<T extends object>(fields: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
