import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Credentials } from '#local/credentials.ts';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

export type { Credentials };

/** The whole embedded stack as `npm run up` starts it, in a folder and on ports of its own. */
export interface Stack extends Credentials {
  readonly dataDir: string;
  readonly metricsUrl: string;
  readonly env: NodeJS.ProcessEnv;
  /** Stops it as Ctrl-C does; data stay. */
  stop(): Promise<void>;
  /** Starts it again on the same data; resolves when it is ready. */
  start(): Promise<void>;
  /** Process id of a part, from its pid file; 0 while it does not run. */
  pid(part: 'redis' | 'convex' | 'api' | 'worker'): Promise<number>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '..');
const READY_WITHIN = 60_000;

export async function startStack(extra: NodeJS.ProcessEnv = {}): Promise<Stack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'reelay-stack-'));
  const [port, convexPort, redisPort, metricsPort] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    REELAY_DATA: dataDir,
    PORT: String(port),
    CONVEX_PORT: String(convexPort),
    REDIS_PORT: String(redisPort),
    METRICS_PORT: String(metricsPort),
    ...extra,
  };
  let child: ChildProcess | undefined;
  const start = async () => {
    child = await launch(env, port);
  };
  const stop = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  };
  await start();
  return {
    ...(JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8')) as Credentials),
    dataDir,
    env,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    start,
    stop,
    pid: async (part) => Number(await readFile(join(dataDir, 'run', `${part}.pid`), 'utf8').catch(() => 0)),
    async remove() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function launch(env: NodeJS.ProcessEnv, port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(ROOT, 'local/main.ts')], {
    env,
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`The stack ended before it was ready:\n${output}`);
      return (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok;
    },
    { within: READY_WITHIN, what: 'the stack to be ready' },
  );
  return child;
}
