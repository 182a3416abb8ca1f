import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '#test/free-port.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';

/** A master with two replicas, watched by three Sentinels; all real, all of one test's own. */
export interface TestSentinels {
  /** For `REDIS_URL`. */
  readonly url: string;
  readonly servers: readonly TestRedis[];
  /** The server that the Sentinels say is the master. */
  master(): Promise<TestRedis>;
  /** Lets the Sentinels make another one the master while the old one runs. */
  failover(): Promise<void>;
  stop(): Promise<void>;
}

const MASTER = 'mymaster';
const WITHIN = { within: 30_000, every: 50 };

/** `passwords`: one for the servers, and another for the Sentinels; without them anybody may enter. */
export async function startSentinels(passwords?: { server: string; sentinel: string }): Promise<TestSentinels> {
  const secret = passwords && { requirepass: passwords.server, masterauth: passwords.server };
  const first = await startRedis(secret);
  const fast = { ...secret, 'repl-diskless-sync-delay': '0', replicaof: `127.0.0.1 ${first.port}` };
  const servers = [first, await startRedis(fast), await startRedis(fast)];
  const secrets = passwords
    ? [`sentinel auth-pass ${MASTER} ${passwords.server}`, `requirepass ${passwords.sentinel}`]
    : [];
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(first.port, secrets)));
  const sentinel = new Redis(sentinels[0]?.port ?? 0, '127.0.0.1', {
    ...(passwords && { password: passwords.sentinel }),
  });
  const stop = async () => {
    sentinel.disconnect();
    await Promise.all([...sentinels, ...servers].map((server) => server.stop()));
  };
  const ready = async () => {
    const info = await sentinel.info('sentinel');
    return info.includes('slaves=2,sentinels=3');
  };
  try {
    await until(ready, { ...WITHIN, what: 'the Sentinels to know each other and both replicas' });
  } catch (error) {
    await stop();
    throw error;
  }
  const master = async () => {
    const address = (await sentinel.call('SENTINEL', 'get-master-addr-by-name', MASTER)) as [string, string];
    const found = servers.find(({ port }) => String(port) === address[1]);
    if (!found) throw new Error(`The Sentinels name a strange master: ${address.join(':')}.`);
    return found;
  };
  const [login, query] = passwords ? [`:${passwords.server}@`, `?sentinelPassword=${passwords.sentinel}`] : ['', ''];
  return {
    url: `redis+sentinel://${login}${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER}${query}`,
    servers,
    master,
    async failover() {
      const before = await master();
      await sentinel.call('SENTINEL', 'FAILOVER', MASTER);
      await until(async () => (await master()) !== before, { ...WITHIN, what: 'another master' });
    },
    stop,
  };
}

interface Sentinel {
  readonly port: number;
  stop(): Promise<void>;
}

/** `more` are lines of its configuration. */
async function startSentinel(masterPort: number, more: readonly string[]): Promise<Sentinel> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'reelay-sentinel-'));
  const file = join(dir, 'sentinel.conf');
  await writeFile(
    file,
    [
      ...[`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`],
      `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${MASTER} 1000`,
      `sentinel failover-timeout ${MASTER} 5000`,
      ...more,
    ].join('\n'),
  );
  const child = spawn('redis-sentinel', [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await serving(child);
  return {
    port,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function serving(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
    if (output.includes('+monitor master')) resolve();
  });
  child.once('error', reject);
  child.once('exit', () => reject(new Error(`redis-sentinel ended before it watched:\n${output}`)));
  await promise;
}
