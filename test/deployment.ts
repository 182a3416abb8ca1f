import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newApiKey } from '#api/api-key.ts';
import { createConvexMetadata } from '#metadata/convex.ts';
import type { Metadata } from '#metadata/metadata.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

/** One process of the production pair, as the Procfile starts it. */
export interface Process {
  readonly url: string;
  readonly pid: number;
  /** What it said so far, on both of its streams. */
  output(): string;
  /** Ends it in order; gives its exit code, null for one that was killed. */
  end(): Promise<number | null>;
  /** Ends it like a crash. */
  kill(): Promise<void>;
}

/** The parts of a production deployment as processes of their own, on a Redis that is given. */
export interface Deployment {
  readonly engine: TestEngine;
  readonly metadata: Metadata;
  /** Key of an agent that may do everything. */
  readonly agentKey: string;
  /** Folder of the disk store and of whatever a test needs. */
  readonly dir: string;
  startApi(env?: NodeJS.ProcessEnv): Promise<Process>;
  startWorker(env?: NodeJS.ProcessEnv): Promise<Process>;
  /** Kills its API and worker. */
  killAll(): Promise<void>;
  /** Kills everything and removes its data. */
  remove(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '..');
const STARTS_WITHIN = 60_000;
const WORKER = 'src/processors/main.ts';
/** As in the `worker` script of package.json: young objects would else take a hundred MB more. */
const WORKER_FLAGS = ['--max-semi-space-size=8'];

/** `shared` is for every process; `root` is the tree they are started from, this one unless given. */
export async function openDeployment(
  redisUrl: string,
  shared: NodeJS.ProcessEnv = {},
  root = ROOT,
): Promise<Deployment> {
  const [engine, dir] = await Promise.all([
    startEngine({ functions: join(root, 'convex') }),
    mkdtemp(join(tmpdir(), 'reelay-deployment-')),
  ]);
  const metadata = createConvexMetadata({ url: engine.url, token: engine.token });
  const agent = newApiKey(randomBytes, {
    ...{ name: 'test', scopes: ['assets:read', 'assets:write', 'admin'], createdAt: Date.now() },
  });
  await metadata.putApiKey(agent.record);
  const processes: Process[] = [];
  const killAll = async () => void (await Promise.all(processes.map((one) => one.kill())));

  async function start(main: string, portName: 'PORT' | 'METRICS_PORT', path: string, env: NodeJS.ProcessEnv) {
    const flags = main === WORKER ? WORKER_FLAGS : [];
    const port = await freePort();
    const child = spawn(process.execPath, [...flags, join(root, main)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...{
          REDIS_URL: redisUrl,
          CONVEX_URL: engine.url,
          REELAY_DATA: dir,
          UPLOAD_ROOTS: join(dir, 'files'),
          LOG_LEVEL: 'warn',
        },
        ...{ REELAY_SIGNING_KEY: engine.signingKey, [portName]: String(port), ...shared, ...env },
      },
    });
    const url = `http://127.0.0.1:${port}`;
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    const started: Process = {
      url,
      pid: child.pid ?? 0,
      output: () => output,
      end: () => end(child, 'SIGTERM'),
      kill: async () => void (await end(child, 'SIGKILL')),
    };
    processes.push(started);
    await whenServing(child, started, `${url}${path}`, main);
    return started;
  }

  return {
    ...{ engine, metadata, dir, agentKey: agent.key },
    startApi: (env = {}) => start('src/api/main.ts', 'PORT', '/health/live', env),
    startWorker: (env = {}) => start(WORKER, 'METRICS_PORT', '/metrics', env),
    killAll,
    async remove() {
      await killAll();
      await engine.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function whenServing(child: ChildProcess, { output }: Process, url: string, name: string): Promise<void> {
  const serves = async () => {
    if (hasEnded(child)) throw new Error(`${name} ended before it served:\n${output()}`);
    return (await fetch(url)).ok;
  };
  await until(serves, { within: STARTS_WITHIN, what: `${name} to serve` });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (!hasEnded(child)) {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
  return child.exitCode;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
