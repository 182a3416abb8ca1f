import { totalmem } from 'node:os';
import { Redis } from 'ioredis';
import type { Part } from './child.ts';

/** Share of the machine's memory Redis may fill; the API refuses new work before that. */
const MEMORY_SHARE = 0.25;

/**
 * The embedded Redis: loopback only, every write on disk before it is answered, nothing ever evicted. Its
 * title stays its command line, in which a later start finds the folder. SIGTERM is its clean SHUTDOWN.
 */
export function redisPart(port: number, dir: string): Part {
  return {
    name: 'redis',
    command: [
      'redis-server',
      ...setting('port', port),
      ...setting('bind', '127.0.0.1'),
      ...setting('dir', dir),
      ...setting('appendonly', 'yes'),
      ...setting('appendfsync', 'always'),
      ...setting('save', ''),
      ...setting('maxmemory', Math.floor(totalmem() * MEMORY_SHARE)),
      ...setting('maxmemory-policy', 'noeviction'),
      ...setting('set-proc-title', 'no'),
    ],
    env: process.env,
    serves: () => answersPing(port),
  };
}

function setting(name: string, value: string | number): [string, string] {
  return [`--${name}`, String(value)];
}

/** True once Redis has loaded its data and answers. */
async function answersPing(port: number): Promise<boolean> {
  const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
