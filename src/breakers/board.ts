import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';

/** A breaker that is open, as its process says. */
export interface OpenBreaker {
  readonly dependency: string;
  /** Which process it is of. */
  readonly process: string;
  /** When it opened, in milliseconds since the epoch. */
  readonly since: number;
}

/** Where all processes show their open breakers. What is not shown again within 30 s is forgotten: its process may be gone. */
export interface BreakerBoard {
  show(breaker: OpenBreaker): Promise<void>;
  remove(breaker: Pick<OpenBreaker, 'dependency' | 'process'>): Promise<void>;
  /** All that are open now. */
  list(): Promise<OpenBreaker[]>;
}

/** How long what is shown counts, in milliseconds by the clock of Redis, which is the same for everybody. */
const SHOWN_FOR = 30_000;

const SHOW = defineScript(`
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], ARGV[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3] .. ' ' .. ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])`);

const LIST = defineScript(`
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local shown = redis.call('HGETALL', KEYS[1])
  local open = {}
  for i = 1, #shown, 2 do
    local untilTime, breaker = string.match(shown[i + 1], '^(%d+) (.*)$')
    if untilTime and tonumber(untilTime) > now then table.insert(open, breaker) end
  end
  return open`);

/** The board under `prefix`. */
export function createBreakerBoard(redis: RedisConnection, prefix: string): BreakerBoard {
  const key = `${prefix}:breakers`;
  const fieldOf = ({ process, dependency }: Pick<OpenBreaker, 'dependency' | 'process'>) => `${process}/${dependency}`;
  return {
    show: async (breaker) => void (await SHOW(redis, [key], [fieldOf(breaker), JSON.stringify(breaker), SHOWN_FOR])),
    remove: async (breaker) => void (await redis.hdel(key, fieldOf(breaker))),
    list: async () => ((await LIST(redis, [key], [])) as string[]).map((text) => JSON.parse(text) as OpenBreaker),
  };
}
