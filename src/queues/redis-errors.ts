import { type AppError, toAppError } from '#errors';
import { queueUnavailable } from '#redis/connection.ts';
import { REDIS_FAILURES } from './redis-failures.ts';

const AWAY = REDIS_FAILURES.filter(({ code }) => code === 'QUEUE_UNAVAILABLE').flatMap(({ says }) => says);
/** What a command of a script said comes behind the script's own words, before Redis 7. */
const FIRST_WORD = /^(?:ERR .*[ :]-)?([A-Z]+)\b/;

/**
 * Any thrown value as ours. Redis being away, full or without a master is `QUEUE_UNAVAILABLE`, which spends no attempt;
 * what is a fault of ours is `INTERNAL`.
 */
export function toJobError(thrown: unknown): AppError {
  const words = wordsOf(thrown);
  const { message } = thrown as Partial<Error>;
  const isAway = AWAY.some((said) => (typeof said === 'string' ? words.includes(said) : said.test(message ?? '')));
  return words.length > 0 && isAway ? queueUnavailable(thrown) : toAppError(thrown);
}

/** By what an error is known; a platform's abort is nobody's word. */
function wordsOf(thrown: unknown): (string | undefined)[] {
  if (!(thrown instanceof Error) || thrown instanceof DOMException) return [];
  if (thrown.name === 'ReplyError') return [FIRST_WORD.exec(thrown.message)?.[1]];
  return [thrown.name, 'code' in thrown ? String(thrown.code) : undefined];
}
