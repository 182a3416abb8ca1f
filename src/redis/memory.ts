import type { Redis } from 'ioredis';
import type { RedisConnection } from './connection.ts';

/** Bytes that a Redis uses and may use; `share` is 0 to 1, and 0 where no maximum is set. */
interface RedisMemory {
  readonly used: number;
  readonly max: number;
  readonly share: number;
}

/** Beyond this share of `maxmemory` intake takes nothing in: workers would wedge, since taking a job needs memory. */
export const MEMORY_SHARE = 0.8;

/** Memory of the server, or of the fullest master of a Cluster. */
export async function redisMemory(redis: RedisConnection): Promise<RedisMemory> {
  const servers: readonly Pick<Redis, 'info'>[] = redis.isCluster && 'nodes' in redis ? redis.nodes('master') : [redis];
  const memories = await Promise.all(servers.map(async (server) => readMemory(await server.info('memory'))));
  return memories.reduce((fullest, one) => (one.share > fullest.share ? one : fullest));
}

function readMemory(info: string): RedisMemory {
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const [used, max] = [field('used_memory'), field('maxmemory')];
  return { used, max, share: max === 0 ? 0 : used / max };
}
