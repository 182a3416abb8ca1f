import { type AppError, toAppError } from '#errors';
import { queueUnavailable } from '#redis/connection.ts';

/**
 * What ioredis names the errors of its own and of Redis: `OOM`, `MISCONF`, `NOREPLICAS`, `CLUSTERDOWN`, `TRYAGAIN`,
 * `LOADING` or `MASTERDOWN` come as a reply.
 */
const NAMES: ReadonlySet<string> = new Set([
  'ReplyError',
  'AbortError',
  'MaxRetriesPerRequestError',
  'ClusterAllFailedError',
]);

/** Its errors that have no name of their own. */
const MESSAGES =
  /^(Connection is closed\.|Command timed out|Too many Cluster redirections|None of startup nodes is available|All sentinels are unreachable)|enableOfflineQueue options is false$/;

/** Any thrown value as ours; Redis being away, full or without a master is `QUEUE_UNAVAILABLE`, which spends no attempt. */
export function toJobError(thrown: unknown): AppError {
  const isRedis = thrown instanceof Error && (NAMES.has(thrown.name) || MESSAGES.test(thrown.message));
  return isRedis ? queueUnavailable(thrown) : toAppError(thrown);
}
