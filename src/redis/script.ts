import { createHash } from 'node:crypto';
import type { RedisConnection } from './connection.ts';

/** A Lua script that runs by its SHA-1 and is sent whole only when Redis does not know it yet. */
type Script = (redis: RedisConnection, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

/** A function that runs `lua` in one step on the Redis it is given. */
export function defineScript(lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex');
  return async (redis, keys, args) => {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return redis.eval(lua, keys.length, ...keys, ...args);
    }
  };
}
