import { type AppError, toAppError } from '#errors';
import { queueUnavailable } from '#redis/connection.ts';

/** What ioredis names the errors of its own and of Redis: `OOM`, `MISCONF` or `READONLY` come as a reply. */
const NAMES: ReadonlySet<string> = new Set([
  'ReplyError',
  'AbortError',
  'MaxRetriesPerRequestError',
  'ClusterAllFailedError',
]);

/** Any thrown value as ours; Redis being away, full or read-only is `QUEUE_UNAVAILABLE`, which spends no attempt. */
export function toJobError(thrown: unknown): AppError {
  const isRedis = thrown instanceof Error && (NAMES.has(thrown.name) || thrown.message === 'Connection is closed.');
  return isRedis ? queueUnavailable(thrown) : toAppError(thrown);
}
