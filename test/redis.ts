import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

/** A real redis-server of one test's own, kept as production keeps it: every write on disk before its answer. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
  /** Ends it like a crash; `start` brings it back with what was on disk. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

type Settings = Readonly<Record<string, string>>;

/** `given` are settings of redis.conf, which come after our own. */
export async function startRedis(given: Settings | ((port: number) => Settings) = {}): Promise<TestRedis> {
  const port = await freePort();
  const settings = typeof given === 'function' ? given(port) : given;
  const dir = await mkdtemp(join(tmpdir(), 'reelay-redis-'));
  let child: ChildProcess | undefined;

  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  const redis: TestRedis = {
    url: `redis://127.0.0.1:${port}`,
    port,
    async start() {
      child = await launch(dir, port, settings);
    },
    kill: () => end('SIGKILL'),
    async stop() {
      // A replica that writes its first AOF does not heed SIGTERM.
      await end('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
  await redis.start();
  return redis;
}

const OPTIONS = [
  '--bind 127.0.0.1',
  '--save',
  '',
  '--appendonly yes',
  '--appendfsync always',
  '--maxmemory-policy noeviction',
];

async function launch(dir: string, port: number, settings: Settings): Promise<ChildProcess> {
  const own = OPTIONS.flatMap((option) => option.split(' '));
  const more = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]);
  const args = ['--port', String(port), '--dir', dir, ...own, ...more];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (output.includes('Ready to accept connections')) resolve();
  });
  child.once('error', reject);
  child.once('exit', () => reject(new Error(`redis-server ended before it was ready:\n${output}`)));
  await promise;
  return child;
}
