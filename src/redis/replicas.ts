import { Cluster, type Redis } from 'ioredis';
import { AppError } from '#errors';
import { anotherConnection, queueUnavailable, type RedisConnection } from './connection.ts';

/**
 * Runs `write` and resolves with its answer once the servers of `keys` (names with their hash tags) have passed on what it wrote to as many replicas as
 * asked for. Redis itself answers first and replicates then: what it acknowledged last can be lost in a failover.
 * Throws `QUEUE_UNAVAILABLE` when it is not known to be kept; it may be there all the same, so the write must bear
 * being repeated.
 */
export type Keep = <T>(keys: readonly string[], write: () => Promise<T>) => Promise<T>;

export interface Replicas {
  readonly keep: Keep;
  close(): void;
}

/** For a Redis without replicas, or whose failover may lose the last moment: the master's answer is enough. */
export const keepOnMaster: Keep = (_keys, write) => write();

/** What replicas have not confirmed by then, they have not got; in milliseconds. */
const WAIT_MS = 1_000;
const BARRIER_SECONDS = 60;

/**
 * Opens what keeps writes on at least `min` replicas; with 0 nothing is opened. It has a connection of its own: one that
 * waits for replicas keeps everybody else on it waiting too.
 */
export function openReplicas(redis: RedisConnection, prefix: string, min: number): Replicas {
  if (min === 0) return { keep: keepOnMaster, close: () => undefined };
  const own = anotherConnection(redis);
  own.on('error', () => undefined);
  /** Each history of writes that was met, by its replication id, and when. A master that takes over begins another. */
  const met = new Map<string, number>();
  let moment = 0;

  /** Before the first write: its master's history must be known by then. */
  async function meetMasters(): Promise<void> {
    const masters: readonly Pick<Redis, 'info'>[] = own instanceof Cluster ? own.nodes('master') : [own];
    if (own.status !== 'ready') throw new Error('there is no connection to Redis yet');
    const histories = await Promise.all(masters.map(async (master) => historyIn(await master.info('replication'))));
    for (const history of histories) met.set(history, moment);
  }

  /** `since` is a moment before the write: one to a history met later may have gone to a master that is no more. */
  async function confirm(tag: string, since: number): Promise<void> {
    // The barrier comes after the write in its server's history, so whoever has it has the write.
    const answers = await own
      .pipeline()
      .set(`${prefix}:barrier:{${tag}}`, '', 'EX', BARRIER_SECONDS)
      .wait(min, WAIT_MS)
      .info('replication')
      .exec();
    const [set, waited, info] = answers ?? [];
    const error = set?.[0] ?? waited?.[0] ?? info?.[0];
    if (error) throw error;
    const history = historyIn(String(info?.[1]));
    if (!met.has(history)) met.set(history, ++moment);
    if ((met.get(history) ?? 0) > since) throw new Error('another master has taken over');
    if (Number(waited?.[1]) < min) throw new Error(`fewer than ${min} replicas have it`);
  }

  return {
    async keep(keys, write) {
      if (met.size === 0) await meetMasters().catch(away);
      const since = ++moment;
      const answer = await write();
      try {
        await Promise.all(tagsOf(keys, own.isCluster).map((tag) => confirm(tag, since)));
      } catch (cause) {
        throw notKept(cause);
      }
      return answer;
    },
    close: () => own.disconnect(),
  };
}

function away(cause: unknown): never {
  throw queueUnavailable(cause);
}

function historyIn(replication: string): string {
  const [, id] = /^master_replid:(\w+)/m.exec(replication) ?? [];
  if (id === undefined) throw new Error('Redis does not tell its replication id.');
  return id;
}

/** One hash tag a slot; a single server has one history for all keys. */
function tagsOf(keys: readonly string[], isCluster: boolean): string[] {
  const tags = keys.map((key) => /\{([^}]+)\}/.exec(key)?.[1] ?? key);
  return isCluster ? [...new Set(tags)] : tags.slice(0, 1);
}

function notKept(cause: unknown): AppError {
  const { nextAction } = queueUnavailable(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AppError('QUEUE_UNAVAILABLE', `Redis could not keep it on its replicas: ${reason}.`, {
    cause,
    nextAction,
    details: { mayRun: true },
  });
}
