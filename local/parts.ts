import { join } from 'node:path';
import type { Config } from '#config';
import type { Part } from './child.ts';
import { redisPart } from './redis.ts';

const ROOT = join(import.meta.dirname, '..');
/** Where Node keeps what it compiled: a process that finds it there starts sooner and some 30 MB smaller. */
const COMPILED = join(ROOT, 'node_modules/.cache/node');

/** What the parts need that the environment does not say. */
export interface Secrets {
  readonly adminPassword: string;
  /** The public signing key, for the Convex functions. */
  readonly jwks: string;
}

export interface Parts {
  /** Absent when `REDIS_URL` names another. */
  readonly redis: Part | undefined;
  /** Absent when `CONVEX_URL` names another. */
  readonly convex: Part | undefined;
  readonly api: Part;
  readonly worker: Part;
}

/** Every process of the stack for these settings, and how to start each. */
export function describeParts(config: Config, env: NodeJS.ProcessEnv, secrets: Secrets): Parts {
  const NODE_COMPILE_CACHE = env.NODE_COMPILE_CACHE ?? COMPILED;
  const own = { ...env, NODE_COMPILE_CACHE, REELAY_DATA: config.dataDir, REELAY_ADMIN_PASSWORD: secrets.adminPassword };
  const convexPort = new URL(config.convexUrl).port;
  return {
    redis: env.REDIS_URL ? undefined : redisPart(Number(new URL(config.redis.url).port), join(config.dataDir, 'redis')),
    convex: env.CONVEX_URL
      ? undefined
      : {
          name: 'convex',
          command: [
            ...node('local/convex/main.ts'),
            ...['--functions', join(ROOT, 'convex')],
            ...['--data', join(config.dataDir, 'convex')],
            ...['--port', convexPort],
          ],
          // Functions see their process's environment: only what is for them.
          env: { PATH: env.PATH, HOME: env.HOME, TMPDIR: env.TMPDIR, NODE_COMPILE_CACHE, REELAY_JWKS: secrets.jwks },
          serves: () => answers(`${config.convexUrl}/version`),
        },
    api: {
      name: 'api',
      command: [...node('src/api/main.ts'), config.dataDir],
      env: own,
      serves: () => answers(`${localUrl(config.host, config.port)}/health/live`),
    },
    worker: {
      name: 'worker',
      // Few young objects: a worker that reconciles 100,000 files stays below 300 MB.
      command: [...node('src/processors/main.ts', '--max-semi-space-size=8'), config.dataDir],
      env: own,
      serves: () => answers(`${localUrl(config.host, config.metricsPort)}/metrics`),
    },
  };
}

/** Where this machine reaches what listens on `host`: an address that means every interface is met on loopback. */
export function localUrl(host: string, port: number): string {
  const met = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${met.includes(':') ? `[${met}]` : met}:${port}`;
}

/** True when the API says that it and a worker serve. */
export async function stackIsReady(config: Pick<Config, 'host' | 'port'>): Promise<boolean> {
  return answers(`${localUrl(config.host, config.port)}/health/ready`);
}

/** A port the stack will listen on, and the variable that moves it. */
export interface PortUse {
  readonly host: string;
  readonly port: number;
  readonly variable: string;
  readonly of: string;
}

export function portsOf(config: Config, parts: Parts): PortUse[] {
  const embedded = (url: string, variable: string, of: string): PortUse => {
    return { host: '127.0.0.1', port: Number(new URL(url).port), variable, of };
  };
  return [
    ...(parts.redis ? [embedded(config.redis.url, 'REDIS_PORT', 'Redis')] : []),
    ...(parts.convex ? [embedded(config.convexUrl, 'CONVEX_PORT', 'Convex')] : []),
    { host: config.host, port: config.port, variable: 'PORT', of: 'the API' },
    { host: config.host, port: config.metricsPort, variable: 'METRICS_PORT', of: "the worker's metrics" },
  ];
}

function node(entry: string, ...flags: string[]): [string, ...string[]] {
  return [process.execPath, ...flags, join(ROOT, entry)];
}

function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
}
